// Goal: models are found, told apart and kept track of; what is broken is named with why. Method: a
// folder that changes under a running daemon.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Home, ingle, sample, startDaemon } from './harness.mjs';

const ids = ({ body }) => body.models.map(({ id }) => id);

test('text, embedding and reranker are told apart, and described', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'tiny-qwen2', 'embedding', 'reranker'] });
  const listed = await daemon.get('/api/v1/models');
  assert.deepEqual(ids(listed), ['embedding', 'reranker', 'tiny', 'tiny-qwen2']);
  assert.equal(listed.body.scanning, false);
  assert.ok(listed.body.folders.includes(daemon.home.models));
  const models = new Map(listed.body.models.map((model) => [model.id, model]));
  assert.deepEqual(
    [...models.values()].map(({ kind }) => kind),
    ['embedding', 'reranker', 'text', 'text'],
  );
  const tiny = models.get('tiny');
  assert.equal(tiny.state, 'usable');
  assert.equal(tiny.problem, '');
  assert.equal(tiny.architecture, 'llama');
  assert.equal(models.get('tiny-qwen2').architecture, 'qwen2');
  assert.equal(tiny.path, join(daemon.home.models, 'tiny.gguf'));
  assert.equal(tiny.has_chat_template, true);
  assert.equal(models.get('embedding').has_chat_template, false);
  assert.ok(tiny.size_bytes > 0 && tiny.parameters > 0 && tiny.context_tokens_max > 0);
  assert.ok(models.get('embedding').embedding_length > 0);
});

test('what is broken is listed with why; what is no model is not', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  truncateSync(home.add('tiny', 'cut'), 1000);
  writeFileSync(join(home.models, 'empty.gguf'), '');
  writeFileSync(join(home.models, 'text.gguf'), 'this is no model at all');
  writeFileSync(join(home.models, 'notes.txt'), 'GGUF');
  mkdirSync(join(home.models, 'folder.gguf'));
  const daemon = await startDaemon(t, { home, models: ['tiny'] });
  const listed = await daemon.get('/api/v1/models');
  assert.deepEqual(ids(listed), ['cut', 'empty', 'text', 'tiny']);
  const problems = new Set();
  for (const { id, state, problem } of listed.body.models) {
    assert.equal(state, id === 'tiny' ? 'usable' : 'broken', id);
    problems.add(problem);
  }
  assert.equal(problems.size, 4, [...problems].join('\n'));
  const openai = await daemon.get('/v1/models');
  assert.deepEqual(
    openai.body.data.map(({ id }) => id),
    ['tiny'],
  );
});

test('a scan finds what came, went, changed and moved', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const { home } = daemon;
  const scan = () => daemon.post('/api/v1/scan', {});
  mkdirSync(join(home.models, 'deep/er'), { recursive: true });
  home.add('tiny-qwen2', 'deep/er/other');
  assert.equal(ids(await scan()).length, 2);
  renameSync(join(home.models, 'tiny.gguf'), join(home.models, 'small.gguf'));
  assert.ok(ids(await scan()).includes('small'));
  truncateSync(join(home.models, 'small.gguf'), 100);
  const cut = (await scan()).body.models.find(({ id }) => id === 'small');
  assert.equal(cut.state, 'broken');
  home.add('tiny', 'small');
  const whole = (await scan()).body.models.find(({ id }) => id === 'small');
  assert.equal(whole.state, 'usable');
  rmSync(join(home.models, 'deep'), { recursive: true });
  assert.deepEqual(ids(await scan()), ['small']);
});

test('what was known is known at once after a restart', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const first = await startDaemon(t, { home, models: ['tiny', 'embedding'] });
  const before = (await first.get('/api/v1/models')).body.models;
  await first.stop();
  const old = new Date(Date.now() - 86_400_000);
  utimesSync(join(home.models, 'embedding.gguf'), old, old);
  const second = await startDaemon(t, { home });
  await second.get('/api/warmup_wait?timeout=30');
  const after = (await second.get('/api/v1/models')).body.models;
  assert.deepEqual(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  assert.ok(Math.abs(after[0].modified_unix_ms - old.getTime()) < 2000);
});

test('several folders, one of them missing', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const other = join(home.path, 'other');
  mkdirSync(other);
  home.add('tiny-qwen2', '../other/second');
  const daemon = await startDaemon(t, {
    home,
    models: ['tiny'],
    args: ['--models', other, '--models', join(home.path, 'missing')],
  });
  assert.deepEqual(ids(await daemon.get('/api/v1/models')), ['second', 'tiny']);
});

test('ingle ls and ingle show', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'embedding'] });
  const listed = await ingle(daemon.home, ['ls']);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /tiny +text .*usable/);
  assert.match(listed.stdout, /embedding/);

  const file = sample('tiny');
  const shown = await ingle(daemon.home, ['show', file]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /llama/);
  const json = JSON.parse((await ingle(daemon.home, ['show', file, '--json'])).stdout);
  assert.match(JSON.stringify(json), /"llama"/);
  const tensors = await ingle(daemon.home, ['show', file, '--tensors']);
  assert.match(tensors.stdout, /token_embd\.weight/);
  const bare = await ingle(daemon.home, ['show', file, '--raw']);
  assert.match(bare.stdout, /general\.architecture/);
  assert.match(bare.stdout, /tokenizer\.ggml\.model/);

  const bad = join(daemon.home.path, 'bad.gguf');
  writeFileSync(bad, 'GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f', 'latin1');
  for (const path of [bad, '/nowhere.gguf', '/proc/self/mem', daemon.home.path]) {
    const { code, stderr } = await ingle(daemon.home, ['show', path]);
    assert.equal(code, 1, path);
    assert.ok(stderr.includes(path), stderr);
  }
});
