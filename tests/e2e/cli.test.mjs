// Goal: the command line does its job for a person and for a script. Method: its output and exit
// codes against a running daemon.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { INGLE, environment, ingle, startDaemon, waitFor } from './harness.mjs';

test('run: a prompt as an argument, from a pipe, and both', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  // A seed: sampled freely, the model now and then ends its turn with its first token.
  const seed = ['--seed', '7'];
  const once = await ingle(daemon.home, ['run', 'tiny', 'Tell me of fire.', ...seed]);
  assert.equal(once.code, 0, once.stderr);
  assert.ok(once.stdout.trim().length > 0);
  assert.match(once.stderr, /tokens\/s|tok\/s/);
  const piped = await ingle(daemon.home, ['run', 'tiny', ...seed], {
    input: 'Tell me of fire.',
  });
  assert.equal(piped.code, 0, piped.stderr);
  assert.ok(piped.stdout.trim().length > 0);
});

test('run: an unknown model is an error with near names', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const { code, stdout, stderr } = await ingle(daemon.home, ['run', 'tinny', 'hello']);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /tinny.*tiny/s);
});

test('load, ps, unload, and what explain shows', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const explained = await ingle(daemon.home, ['load', 'tiny', '--explain']);
  assert.equal(explained.code, 0, explained.stderr);
  assert.match(explained.stdout, /context_tokens/);
  assert.match(explained.stdout, /llama-server/);
  assert.deepEqual(await daemon.residents(), []);
  const loaded = await ingle(daemon.home, ['load', 'tiny']);
  assert.equal(loaded.code, 0, loaded.stderr);
  const listed = await ingle(daemon.home, ['ps']);
  assert.match(listed.stdout, /tiny.*ready/);
  const unloaded = await ingle(daemon.home, ['unload', 'tiny']);
  assert.equal(unloaded.code, 0, unloaded.stderr);
  assert.doesNotMatch((await ingle(daemon.home, ['ps'])).stdout, /tiny/);
  assert.equal((await ingle(daemon.home, ['unload', 'tiny'])).code, 1);
});

test('logs -f goes on until it is interrupted', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const child = spawn(INGLE, ['logs', '-f', '--json'], { env: environment(daemon.home) });
  let said = '';
  child.stdout.on('data', (bytes) => (said += bytes));
  const ended = new Promise((done) => child.on('close', (code, signal) => done({ code, signal })));
  await waitFor('the first records', () => said.includes('\n'));
  await daemon.post('/api/v1/load', { model: 'tiny' });
  await waitFor('a new record', () => /worker/.test(said));
  child.kill('SIGINT');
  const { code, signal } = await ended;
  assert.ok(code === 0 || code === 130 || signal === 'SIGINT', `${code} ${signal}`);
  for (const line of said.split('\n').filter(Boolean)) JSON.parse(line);
});

test('a reader that goes away is no disaster', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const child = spawn('sh', ['-c', `"${INGLE}" logs --json | head -n 1`], {
    env: environment(daemon.home),
  });
  const code = await new Promise((done) => child.on('close', done));
  assert.equal(code, 0);
});

test('help and version need no daemon; mistakes end with 2 or more', async (t) => {
  const daemon = await startDaemon(t);
  const help = await ingle(daemon.home, ['--help']);
  assert.equal(help.code, 0);
  for (const command of [
    'serve',
    'run',
    'ls',
    'show',
    'load',
    'unload',
    'ps',
    'logs',
    'config',
    'keys',
  ])
    assert.match(help.stdout, new RegExp(`^ +${command}\\b`, 'm'));
  const version = await ingle(daemon.home, ['--version']);
  assert.match(version.stdout, /\d+\.\d+\.\d+/);
  for (const args of [['dance'], ['ls', '--dance'], ['show']]) {
    const { code, stderr } = await ingle(daemon.home, args);
    assert.ok(code >= 2, `${args}: ${code}`);
    assert.match(stderr, /\S/);
  }
});
