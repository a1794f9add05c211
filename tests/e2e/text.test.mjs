// Goal: text models come when they are asked for, make room for each other, and go when nobody
// uses them; a client that leaves frees the worker. Method: real llama-server, sample models.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Home, alive, chat, collect, ingle, sse, startDaemon, waitFor } from './harness.mjs';

// Memory for one of the small models at a time (each takes about 50 MiB).
const FOR_ONE = ['--set', 'memory.ram_budget=75M', '--set', 'queue.shortest_residency=0s'];

// A prompt of thousands of tokens for `slow`, different for each `salt` so that no cache helps.
const longPrompt = (salt) => `${salt} ` + 'the hearth is warm and the night is long '.repeat(120);

test('load, ps, unload', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  assert.deepEqual(await daemon.residents(), []);
  const loaded = await daemon.post('/api/v1/load', { model: 'tiny' });
  assert.equal(loaded.status, 200, loaded.text);
  assert.equal(loaded.body.loaded, true);
  assert.equal(loaded.body.already_loaded, false);
  assert.ok(loaded.body.load_ms > 0);
  assert.match(loaded.body.plan.command, /llama-server/);

  const [resident] = await daemon.residents();
  assert.equal(resident.id, 'tiny');
  assert.equal(resident.kind, 'text');
  assert.equal(resident.state, 'ready');
  assert.equal(resident.load_progress, 1);
  assert.equal(resident.requests_running, 0);
  assert.ok(resident.load_ms > 0);
  assert.ok(resident.resident_bytes > 1 << 20);
  assert.ok(resident.unload_unix_ms > Date.now());
  assert.ok(alive(resident.pid));
  assert.deepEqual(resident.settings, loaded.body.plan.settings);

  const again = await daemon.post('/api/v1/load', { model: 'tiny' });
  assert.equal(again.body.already_loaded, true);
  assert.equal((await daemon.residents())[0].pid, resident.pid);

  const unloaded = await daemon.post('/api/v1/unload', { model: 'tiny' });
  assert.deepEqual(unloaded.body.models, ['tiny']);
  assert.ok(unloaded.body.freed_bytes > 1 << 20);
  assert.equal(alive(resident.pid), false);
  assert.deepEqual(await daemon.residents(), []);
  const gone = await daemon.post('/api/v1/unload', { model: 'tiny' });
  assert.equal(gone.status, 404);
  assert.equal(gone.body.error.code, 'not_found');
  assert.deepEqual((await daemon.post('/api/v1/unload', {})).body.models, []);
});

test('explain says each setting, its value and why, and loads nothing', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const { body } = await daemon.post('/api/v1/load', { model: 'tiny', explain: true });
  assert.equal(body.loaded, false);
  const settings = new Map(body.plan.settings.map((setting) => [setting.name, setting]));
  for (const name of ['threads', 'context_tokens', 'parallel', 'gpu_layers', 'flash_attention'])
    assert.ok(settings.has(name), `${name} in ${[...settings.keys()]}`);
  for (const { name, value, reason, origin } of body.plan.settings) {
    assert.match(value, /\S/, name);
    assert.match(reason, /\S/, name);
    assert.match(origin, /^(derived|config|request|measured)$/, name);
  }
  assert.deepEqual(await daemon.residents(), []);

  const asked = await daemon.post('/api/v1/load', {
    model: 'tiny',
    explain: true,
    set: ['context_tokens=512'],
  });
  const context = asked.body.plan.settings.find(({ name }) => name === 'context_tokens');
  assert.equal(context.value, '512');
  assert.equal(context.origin, 'request');
  const bad = await daemon.post('/api/v1/load', { model: 'tiny', set: ['context_tokns=512'] });
  assert.equal(bad.status, 400);
  assert.match(bad.body.error.message, /context_tokens/);
});

test('settings reach the worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const loaded = await daemon.post('/api/v1/load', { model: 'tiny', set: ['context_tokens=512'] });
  assert.equal(loaded.status, 200, loaded.text);
  const tooLong = await daemon.post(
    '/v1/chat/completions',
    chat('tiny', { messages: [{ role: 'user', content: longPrompt('x') }] }),
  );
  assert.equal(tooLong.status, 400, tooLong.text);
  assert.match(tooLong.body.error.message, /context/);
});

test('many who ask at once share one load', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => daemon.post('/v1/chat/completions', chat('tiny'))),
  );
  for (const { status, text } of answers) assert.equal(status, 200, text);
  const spawned = daemon.records().filter(({ event }) => event === 'worker_spawned');
  assert.equal(spawned.length, 1, JSON.stringify(spawned));
});

test('two models take turns under concurrent requests, one worker at a time', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'tiny-qwen2'], args: FOR_ONE });
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, daemon.home.workers().length)), 5);
  t.after(() => clearInterval(watch));
  const names = Array.from({ length: 12 }, (_, i) => (i % 2 ? 'tiny' : 'tiny-qwen2'));
  const answers = await Promise.all(
    names.map((name, i) => daemon.post('/v1/chat/completions', chat(name, { max_tokens: 4 + i }))),
  );
  answers.forEach(({ status, body, text }, i) => {
    assert.equal(status, 200, text);
    assert.equal(body.model, names[i]);
    assert.ok(body.usage.completion_tokens > 0);
  });
  assert.equal(most, 1);
});

test('a switch waits for the streams of the other model', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'tiny-qwen2'], args: FOR_ONE });
  const response = await daemon.postRaw(
    '/v1/chat/completions',
    chat('tiny', { stream: true, max_tokens: 400, ignore_eos: true }),
  );
  const reader = sse(response);
  const first = await reader.next();
  assert.ok(first.value.data || first.value.comment);
  const other = daemon.post('/v1/chat/completions', chat('tiny-qwen2'));
  const rest = await collect(reader);
  assert.deepEqual(rest.at(-1), { done: true });
  assert.equal((await other).status, 200);
  assert.deepEqual(
    (await daemon.residents()).map(({ id }) => id),
    ['tiny-qwen2'],
  );
});

test('a model that nobody uses goes', async (t) => {
  const daemon = await startDaemon(t, {
    models: ['tiny'],
    args: ['--set', 'models.keep_alive=500ms'],
  });
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
  await waitFor('the idle unload', async () => (await daemon.residents()).length === 0);
  await waitFor('the worker to end', () => daemon.home.workers().length === 0);
  const crashes = daemon.records().filter(({ event }) => event === 'worker_crashed');
  assert.deepEqual(crashes, []);
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
});

test('while a model loads, a stream tells progress in comments', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  // An engine that takes its time: the real one, two seconds late.
  const late = join(home.path, 'late-llama-server');
  writeFileSync(late, '#!/bin/sh\nsleep 2\nexec llama-server "$@"\n');
  chmodSync(late, 0o755);
  const args = ['--set', `text.llama_server=${late}`, '--set', 'text.sandbox=false'];
  const daemon = await startDaemon(t, { home, models: ['tiny'], args });
  const body = chat('tiny', { stream: true });
  const pieces = await collect(sse(await daemon.postRaw('/v1/chat/completions', body)));
  const comments = pieces.filter(({ comment }) => comment).map(({ comment }) => comment);
  assert.ok(
    comments.some((comment) => /loading tiny/.test(comment)),
    JSON.stringify(comments),
  );
  assert.ok(pieces.findIndex(({ comment }) => comment) < pieces.findIndex(({ data }) => data));
  assert.deepEqual(pieces.at(-1), { done: true });
});

test('a client that leaves a stream frees the worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'], args: ['--set', 'text.parallel=1'] });
  await daemon.post('/api/v1/load', { model: 'slow' });
  for (const body of [
    chat('slow', { stream: true, max_tokens: 4000, ignore_eos: true }),
    chat('slow', { max_tokens: 4000, ignore_eos: true }),
  ]) {
    const abort = new AbortController();
    const asked = daemon.postRaw('/v1/chat/completions', body, { signal: abort.signal });
    asked.catch(() => {});
    await waitFor(
      'the request to run',
      async () => (await daemon.residents())[0]?.requests_running === 1,
    );
    if (body.stream) await sse(await asked).next();
    const left = performance.now();
    abort.abort();
    await waitFor(
      'the worker to be free',
      async () => (await daemon.residents())[0].requests_running === 0,
    );
    const answer = await daemon.post('/v1/chat/completions', chat('slow', { max_tokens: 1 }));
    assert.equal(answer.status, 200);
    t.diagnostic(
      `stream ${body.stream}: another's answer ${(performance.now() - left).toFixed(0)} ms after`,
    );
  }
});

test('a client that leaves during the prompt frees the worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'], args: ['--set', 'text.parallel=1'] });
  await daemon.post('/api/v1/load', { model: 'slow' });
  const ask = (salt, options) =>
    daemon.postRaw(
      '/v1/chat/completions',
      chat('slow', {
        stream: true,
        max_tokens: 1,
        messages: [{ role: 'user', content: longPrompt(salt) }],
      }),
      options,
    );
  let started = performance.now();
  await collect(sse(await ask('whole')));
  const whole = performance.now() - started;
  const abort = new AbortController();
  const asked = ask('left', { signal: abort.signal });
  asked.then((response) => response.text()).catch(() => {});
  await waitFor(
    'the request to run',
    async () => (await daemon.residents())[0].requests_running === 1,
  );
  started = performance.now();
  abort.abort();
  const answer = await daemon.post('/v1/chat/completions', chat('slow', { max_tokens: 1 }));
  const next = performance.now() - started;
  assert.equal(answer.status, 200);
  t.diagnostic(
    `the prompt takes ${whole.toFixed(0)} ms; another's answer came ${next.toFixed(0)} ms ` +
      'after the client left',
  );
  assert.ok(next < whole / 2, `${next} ms of ${whole} ms`);
});

test('the worker sees what the design allows it', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const [{ pid, sandbox }] = await daemon.residents();
  assert.match(sandbox, /\S/);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  if (/seccomp/.test(sandbox)) assert.match(status, /Seccomp:\t2/);
  assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim(), '500');
  const [worker] = daemon.home.workers();
  assert.equal(worker.pid, pid);
  assert.match(worker.command, /\.sock\b/);
  const tcp = readFileSync(`/proc/${pid}/net/tcp`, 'utf8');
  const inodes = new Set(openSockets(pid));
  const listening = tcp
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]));
  assert.deepEqual(listening, [], 'the worker listens on TCP');
  // Its key is not on its command line, where everyone on the machine could read it.
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
  assert.doesNotMatch(environment, /INGLE_API_KEY/);
  const listed = await ingle(daemon.home, ['ps']);
  assert.match(listed.stdout, /tiny/);
});

function openSockets(pid) {
  return readdirLinks(`/proc/${pid}/fd`).flatMap(
    (link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [],
  );
}

function readdirLinks(folder) {
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name))];
    } catch {
      return [];
    }
  });
}
