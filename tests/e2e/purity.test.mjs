// Goal: after listen nothing on the loop thread may block: no file, name, database, library or
// child. Method: a library preloaded into the daemon (preload/watch.c) writes down every such call
// with its thread while a model is found, loaded, used and unloaded; the loop thread is the main
// one, so its id is the process's. That the watch works is shown by what must be there: the config
// read on the main thread before listen, and files, children and SQLite on other threads after.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, chat, collect, openEvents, sse, startDaemon, waitFor } from './harness.mjs';

function callsOf(path) {
  return readFileSync(path, 'latin1')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name, thread, ...detail] = line.split(' ');
      return { name, thread: Number(thread), detail: detail.join(' ') };
    });
}

test('the loop thread never blocks', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const log = join(home.path, 'calls');
  writeFileSync(log, '');
  const daemon = await startDaemon(t, {
    home,
    models: ['tiny', 'tiny-qwen2', 'embedding'],
    env: { LD_PRELOAD: join(BUILD, 'lib/libwatch.so'), INGLE_TEST_WATCH: log },
    args: ['--set', 'log.level=debug'],
  });
  await daemon.get('/api/warmup_wait?timeout=30');
  const socket = await openEvents(daemon, { topics: ['log', 'model', 'warmup'] });
  for (const path of [
    '/livez',
    '/readyz',
    '/api/warmup_canaries',
    '/api/startup_timeline',
    '/api/v1/models',
    '/api/v1/ps',
    '/api/v1/logs',
    '/v1/models',
    '/metrics',
    '/api/v1/openapi.json',
  ])
    assert.equal((await daemon.get(path)).status, 200, path);
  await daemon.post('/api/v1/scan', {});
  await daemon.post('/api/v1/load', { model: 'tiny', explain: true });
  const stream = await daemon.postRaw('/v1/chat/completions', chat('tiny', { stream: true }));
  assert.deepEqual((await collect(sse(stream))).at(-1), { done: true });
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny-qwen2'))).status, 200);
  const input = { model: 'embedding', input: 'warm' };
  assert.equal((await daemon.post('/v1/embeddings', input)).status, 200);
  const embedder = async () => (await daemon.residents()).find(({ id }) => id === 'embedding');
  process.kill((await embedder()).pid, 'SIGKILL');
  await waitFor('the death to be known', async () => !(await embedder()));
  assert.equal((await daemon.post('/v1/embeddings', input)).status, 200);
  await daemon.get('/v1/models', { headers: { Authorization: 'Bearer ingle-wrong' } });
  await daemon.post('/api/v1/unload', {});
  await socket.close();
  const calls = callsOf(log);

  const listened = calls.findLastIndex(({ name }) => name === 'listen');
  assert.ok(listened > 0);
  assert.equal(calls[listened].thread, daemon.pid, 'the loop thread is the main thread');
  const before = calls.slice(0, listened).filter(({ thread }) => thread === daemon.pid);
  assert.ok(
    before.some(({ detail }) => detail.endsWith('ingle.toml')),
    'the config is read',
  );
  const after = calls.slice(listened + 1);
  const elsewhere = new Set(
    after.filter(({ thread }) => thread !== daemon.pid).map(({ name }) => name),
  );
  assert.ok(
    [...elsewhere].some((name) => /^(open|fopen)/.test(name)),
    'files are opened',
  );
  assert.ok(
    [...elsewhere].some((name) => /^sqlite3_/.test(name)),
    'the database is used',
  );
  assert.ok(
    [...elsewhere].some((name) => /^(waitid|waitpid|wait4)$/.test(name)),
    'children are reaped',
  );

  const onLoop = after.filter(({ thread }) => thread === daemon.pid);
  assert.deepEqual(onLoop, [], 'calls that may block, on the loop thread after listen');
  const pool = (await daemon.get('/api/io_pool_status')).body;
  assert.equal(pool.loop_stalls, 0, `the longest turn took ${pool.loop_turn_ms_max} ms`);
});
