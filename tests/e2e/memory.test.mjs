// Goal: models that do not fit together take turns, keep their conversations, and every step says
// why. Method: real daemons and llama-servers with models of 100 MB under a budget for one or two.
// They get one thread each: two that wait for each other crawl where the cores are busy.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, chat, ingle, openEvents, startDaemon, waitFor } from './harness.mjs';

const SMALL = ['text.threads=1', 'text.context_tokens=1024', 'text.parallel=2'];
const FOR_ONE = ['memory.ram_budget=200M', 'queue.shortest_residency=0s', ...SMALL];
const settings = (list) => list.flatMap((setting) => ['--set', setting]);

// A daemon with these names for a model of 100 MB.
async function daemonWith(t, names, config, more = {}) {
  const home = more.home ?? new Home();
  if (!more.home) t.after(() => home.remove());
  for (const name of names) home.add('hundred', name);
  return startDaemon(t, { ...more, home, args: settings(config) });
}

// What is decided from now on.
async function decisions(t, daemon) {
  const events = await openEvents(daemon, { topics: ['decision'] });
  t.after(() => events.close());
  await events.next(({ type }) => type === 'hello_reply');
  return (kind, model) =>
    events.messages.flatMap(({ decision }) =>
      decision?.kind === kind && decision.model === model ? [decision] : [],
    );
}

const answer = async (daemon, model, more) => {
  const { status, body, text } = await daemon.post('/v1/chat/completions', chat(model, more));
  assert.equal(status, 200, text);
  return body;
};
const load = async (daemon, model, more = {}) => {
  const { status, body, text } = await daemon.post('/api/v1/load', { model, ...more });
  assert.equal(status, 200, text);
  return body;
};

test('two models take turns, say why, and a conversation goes on where it was', async (t) => {
  const daemon = await daemonWith(t, ['a', 'b'], FOR_ONE);
  const decided = await decisions(t, daemon);
  const messages = [{ role: 'user', content: 'Of embers and of smoke. '.repeat(20) }];
  const first = await answer(daemon, 'a', { messages, max_tokens: 8 });
  assert.ok(first.usage.prompt_tokens > 200, 'the conversation is worth keeping');

  const plan = (await daemon.get('/api/v1/plan?model=b')).body;
  assert.equal(plan.fits, true);
  assert.deepEqual(
    plan.evictions.map(({ model }) => model),
    ['a'],
  );
  assert.match(plan.evictions[0].reason, /'a' has been idle for .* and is loaded again in/);

  await answer(daemon, 'b', { max_tokens: 4 });
  const { models, pushed_out: out } = (await daemon.get('/api/v1/ps')).body;
  assert.deepEqual(
    models.map(({ id }) => id),
    ['b'],
  );
  assert.deepEqual(
    out.map(({ model }) => model),
    ['a'],
  );
  assert.match(out[0].reason, /moved aside/);
  assert.ok(out[0].saved_tokens >= first.usage.prompt_tokens, `${out[0].saved_tokens}`);
  assert.match((await ingle(daemon.home, ['ps'])).stdout, /moved aside/);
  const [eviction] = decided('evict', 'a');
  assert.match(eviction.reason, /moved aside for 'b'/);
  assert.ok(eviction.bytes > 100e6, `${eviction.bytes}`);

  messages.push(first.choices[0].message, { role: 'user', content: 'Go on.' });
  const { usage } = await answer(daemon, 'a', { messages, max_tokens: 4 });
  const cached = usage.prompt_tokens_details.cached_tokens;
  assert.ok(cached > 0.9 * usage.prompt_tokens, `${cached} of ${usage.prompt_tokens} tokens`);
  assert.equal(decided('load', 'a').length, 2);
  assert.equal(decided('evict', 'b').length, 1);
});

test('first requests at the same moment load a model once', async (t) => {
  const daemon = await daemonWith(t, ['a'], SMALL);
  const decided = await decisions(t, daemon);
  const at_once = Array.from({ length: 8 }, () => answer(daemon, 'a', { max_tokens: 2 }));
  await Promise.all(at_once);
  assert.equal(decided('load', 'a').length, 1);
  assert.equal(daemon.home.workers().length, 1);
});

test('a pinned model stays, one with no keep-alive goes at once', async (t) => {
  const daemon = await daemonWith(t, ['a', 'b'], FOR_ONE);
  await load(daemon, 'a', { pin: true });
  const [{ pid, pinned }] = await daemon.residents();
  assert.equal(pinned, true);
  const refused = await daemon.post('/v1/chat/completions', chat('b'));
  assert.equal(refused.body.error.code, 'out_of_memory', refused.text);
  assert.match(refused.body.error.message, /'a' is pinned and holds .* --unpin/);
  assert.equal((await daemon.residents())[0].pid, pid, 'it was not touched');

  await load(daemon, 'a', { pin: false });
  await answer(daemon, 'b', { max_tokens: 2 });
  await load(daemon, 'b', { keep_alive: '0' });
  await waitFor('b to go', async () =>
    (await daemon.residents()).every(({ id, state }) => id !== 'b' || state === 'draining'),
  );
});

test('plans say what would happen, and nothing happens', async (t) => {
  const daemon = await daemonWith(t, ['a', 'b'], FOR_ONE);
  const explained = await ingle(daemon.home, ['load', 'a', '--explain']);
  assert.equal(explained.code, 0, explained.stderr);
  assert.match(explained.stdout, /^a fits: processor/);
  assert.match(explained.stdout, /predicted from the file/);
  assert.match(explained.stdout, /llama-server --model \S+a\.gguf/);
  const wanted = 'context_tokens=32768,parallel=64';
  const large = (await daemon.get(`/api/v1/plan?model=a&set=${wanted}`)).body;
  assert.equal(large.fits, false);
  assert.match(large.problem, /\S/);
  assert.match(large.would_fit, /\S/);

  // From the header alone, of a file that is not here.
  const file = readFileSync(join(daemon.home.models, 'a.gguf'));
  const verdict = async (size) => {
    const response = await daemon.fetch(`/api/v1/can_run?name=c&size_bytes=${size}`, {
      method: 'POST',
      body: file.subarray(0, 4 << 20),
      headers: { 'Content-Type': 'application/octet-stream' },
    });
    assert.equal(response.status, 200);
    return response.json();
  };
  const here = (await daemon.get('/api/v1/plan?model=a')).body;
  const there = await verdict(file.length);
  assert.equal(there.fits, true);
  assert.equal(there.memory.predicted_bytes, here.memory.predicted_bytes);
  assert.deepEqual(await daemon.residents(), []);
  assert.deepEqual(daemon.home.workers(), []);
});

// An engine that says twice that there is not enough memory, then works.
function engineThatFalls(home) {
  const count = join(home.path, 'loads');
  const path = join(home.path, 'engine');
  const lines = [
    '#!/bin/sh',
    `echo "$@" >>${count}`,
    `if [ "$(wc -l <${count})" -gt 2 ]; then exec ${join(BUILD, 'bin/ingle-fake-engine')} "$@"; fi`,
    'echo "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 1"',
    'exit 1',
  ];
  writeFileSync(path, lines.join('\n') + '\n');
  chmodSync(path, 0o755);
  return {
    path,
    contexts: () =>
      existsSync(count)
        ? [...readFileSync(count, 'utf8').matchAll(/--ctx-size (\d+) --parallel (\d+)/g)].map(
            ([, all, parallel]) => ({ all: Number(all), parallel: Number(parallel) }),
          )
        : [],
  };
}

test('a load that cannot get its memory falls to smaller settings, and answers', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const engine = engineThatFalls(home);
  const config = [`text.llama_server=${engine.path}`, 'text.sandbox=false'];
  const daemon = await daemonWith(t, ['a'], config, { home });
  const decided = await decisions(t, daemon);
  await answer(daemon, 'a');
  assert.equal(decided('fall', 'a').length, 2);
  for (const { reason } of decided('fall', 'a')) assert.match(reason, /ran out of memory.*smaller/);
  const tried = readFileSync(join(home.path, 'loads'), 'utf8').trimEnd().split('\n');
  const settled = tried.map((line) => line.replace(/ --host \S+/, ''));
  assert.equal(new Set(settled).size, 3, 'each try is a smaller one');
  // One failed load does not poison the next: that of another model starts from the top.
  home.add('hundred', 'b');
  await daemon.post('/api/v1/scan', {});
  await answer(daemon, 'b');
  assert.deepEqual(engine.contexts().at(-1), engine.contexts()[0]);
});

test('what was measured is known after a restart', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const before = await daemonWith(t, ['a'], SMALL, { home });
  await answer(before, 'a', { max_tokens: 2 });
  const plan = async (daemon) => (await daemon.get('/api/v1/plan?model=a')).body.memory;
  await before.post('/api/v1/unload', {});
  const known = await plan(before);
  assert.equal(known.basis, 'measured');
  await before.stop();
  const after = await daemonWith(t, [], SMALL, { home });
  assert.deepEqual(await plan(after), known);
});
