// Goal: whatever dies, fills up or vanishes, the client is told what and why, the daemon stays, and
// nothing is left behind. Method: real daemons and workers, killed in each state; a small tmpfs for
// a full disk; preloaded libraries (preload/) for a clock that jumps and for workers that survive.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  BUILD,
  Home,
  alive,
  chat,
  collect,
  ingle,
  listening,
  processes,
  sample,
  sse,
  spawnDaemon,
  startDaemon,
  waitFor,
  warm,
} from './harness.mjs';

const endless = (model) => chat(model, { stream: true, max_tokens: 7000, ignore_eos: true });

// An executable shell script in the home, to stand for llama-server.
function engine(home, body) {
  const path = join(home.path, 'engine');
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return ['--set', `text.llama_server=${path}`, '--set', 'text.sandbox=false'];
}

async function firstToken(stream) {
  for (;;) {
    const { value, done } = await stream.next();
    assert.equal(done, false, 'the stream ended before its first token');
    if (value.data) return value;
  }
}

test('a worker killed in the midst of a stream: an error in it, then a new worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'] });
  const stream = sse(await daemon.postRaw('/v1/chat/completions', endless('slow')));
  await firstToken(stream);
  const [{ pid }] = await daemon.residents();
  process.kill(pid, 'SIGKILL');
  await waitFor('its death', () => !alive(pid), { every: 0 });
  const died = performance.now();
  const rest = await collect(stream);
  t.diagnostic(
    `the error came ${(performance.now() - died).toFixed(1)} ms after the death was seen`,
  );
  const { error } = rest.at(-1).data;
  assert.equal(error.code, 'worker_crashed');
  assert.match(error.message, /SIGKILL/);
  assert.equal(rest.filter(({ done }) => done).length, 0, 'a broken stream must not end in [DONE]');
  assert.equal((await daemon.post('/v1/chat/completions', chat('slow'))).status, 200);
  assert.notEqual((await daemon.residents())[0].pid, pid);
});

test('a worker killed under a plain request: a typed error', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'] });
  const asked = daemon.post('/v1/chat/completions', { ...endless('slow'), stream: false });
  const [{ pid }] = await waitFor('the request to run', async () => {
    const residents = await daemon.residents();
    return residents[0]?.requests_running === 1 && residents[0].state === 'busy' && residents;
  });
  process.kill(pid, 'SIGSEGV');
  const { status, body } = await asked;
  assert.ok(status >= 500, String(status));
  assert.equal(body.error.code, 'worker_crashed');
  assert.match(body.error.message, /SIGSEGV/);
});

test('a worker killed while idle: noticed, told in the log, replaced', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const [{ pid }] = await daemon.residents();
  process.kill(pid, 'SIGKILL');
  await waitFor('the record', () =>
    daemon.records().some(({ event }) => event === 'worker_crashed'),
  );
  assert.ok((await daemon.residents()).every((resident) => resident.pid !== pid));
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
});

test('a worker killed before it listens', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = await startDaemon(t, {
    home,
    models: ['tiny'],
    args: engine(home, 'echo "warming my hands"; exec sleep 60'),
  });
  const asked = daemon.post('/v1/chat/completions', chat('tiny'));
  const [{ pid }] = await waitFor('the worker', async () => {
    const residents = await daemon.residents();
    return residents.length > 0 && residents[0].pid > 0 && residents;
  });
  await waitFor('its first line', () => daemon.stderr.includes('warming my hands'));
  process.kill(pid, 'SIGKILL');
  const { status, body } = await asked;
  assert.ok(status >= 500);
  assert.match(body.error.code, /worker_crashed|load_failed/);
  assert.match(body.error.message, /SIGKILL/);
  assert.match(body.error.message, /warming my hands/);
});

test('an engine that ends by itself: its code, its last lines, and no endless tries', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const dies = 'echo run >>"$0.runs"; echo "error: no wood in the house" >&2; exit 3';
  const daemon = await startDaemon(t, { home, models: ['tiny'], args: engine(home, dies) });
  const first = await daemon.post('/v1/chat/completions', chat('tiny'));
  assert.ok(first.status >= 500, first.text);
  assert.match(first.body.error.message, /exited with code 3/);
  assert.match(first.body.error.message, /no wood in the house/);
  for (let i = 0; i < 11; i++) {
    const { status, text } = await daemon.post('/v1/chat/completions', chat('tiny'));
    assert.ok(status >= 500, text);
  }
  const runs = statSync(`${home.path}/engine.runs`).size / 'run\n'.length;
  assert.ok(runs < 12, `${runs} starts for 12 requests`);
});

test('an engine that is not there, or may not be run: an error that names it', async (t) => {
  const daemon = await startDaemon(t, {
    models: ['tiny'],
    args: ['--set', 'text.llama_server=/nowhere/llama-server'],
  });
  const { status, body } = await daemon.post('/v1/chat/completions', chat('tiny'));
  assert.ok(status >= 500);
  assert.match(body.error.message, /\/nowhere\/llama-server/);
});

test('kill -9 of the daemon leaves no worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'] });
  const stream = sse(await daemon.postRaw('/v1/chat/completions', endless('slow')));
  await firstToken(stream);
  const [{ pid }] = await daemon.residents();
  await daemon.signal('SIGKILL');
  const started = performance.now();
  await waitFor('the worker to end', () => !alive(pid), { timeout: 5000 });
  t.diagnostic(`the worker was gone ${(performance.now() - started).toFixed(0)} ms after`);
  assert.deepEqual(daemon.home.workers(), []);
});

test("the next start reaps its own leftovers, and nobody else's", async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const first = await startDaemon(t, {
    home,
    models: ['tiny'],
    env: { LD_PRELOAD: join(BUILD, 'lib/libkeep_workers.so') },
  });
  await first.post('/api/v1/load', { model: 'tiny' });
  const [{ pid }] = await first.residents();
  const foreign = spawn(
    'llama-server',
    ['-m', sample('tiny'), '--host', `${home.path}/foreign.sock`, '--no-ui', '--port', '0'],
    { stdio: 'ignore' },
  );
  t.after(() => foreign.kill('SIGKILL'));
  await first.signal('SIGKILL');
  assert.equal(alive(pid), true, 'the preloaded library should have kept the worker alive');
  t.after(() => alive(pid) && process.kill(pid, 'SIGKILL'));
  const second = await startDaemon(t, { home });
  await waitFor('the leftover to be reaped', () => !alive(pid));
  assert.equal(alive(foreign.pid), true);
  assert.equal((await second.post('/v1/chat/completions', chat('tiny'))).status, 200);
  assert.equal(alive(foreign.pid), true);
});

test('SIGTERM lets a running stream finish', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'], args: ['--drain-timeout', '60s'] });
  const body = chat('tiny', { stream: true, max_tokens: 300, ignore_eos: true });
  const stream = sse(await daemon.postRaw('/v1/chat/completions', body));
  await firstToken(stream);
  daemon.child.kill('SIGTERM');
  assert.deepEqual((await collect(stream)).at(-1), { done: true });
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
  assert.deepEqual(daemon.home.workers(), []);
});

test('after --drain-timeout what still runs is told and cut', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'], args: ['--drain-timeout', '300ms'] });
  const stream = sse(await daemon.postRaw('/v1/chat/completions', endless('slow')));
  await firstToken(stream);
  daemon.child.kill('SIGTERM');
  const rest = await collect(stream).catch((error) => [{ cut: error }]);
  assert.equal(rest.filter(({ done }) => done).length, 0);
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
  assert.deepEqual(daemon.home.workers(), []);
});

test('a model deleted while loaded goes on answering, then is gone', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  rmSync(join(daemon.home.models, 'tiny.gguf'));
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
  await daemon.post('/api/v1/unload', {});
  const missing = await daemon.post('/v1/chat/completions', chat('tiny'));
  assert.ok(missing.status >= 400, missing.text);
  assert.match(missing.body.error.message, /tiny/);
  assert.deepEqual((await daemon.post('/api/v1/scan', {})).body.models, []);
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 404);
});

test('a truncated model is broken, with why, in the list and in the answer', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  truncateSync(home.add('tiny', 'half'), statSync(sample('tiny')).size >> 1);
  truncateSync(home.add('tiny', 'stump'), 20);
  const daemon = await startDaemon(t, { home, models: ['tiny'] });
  const { models } = (await daemon.get('/api/v1/models')).body;
  for (const name of ['half', 'stump']) {
    const model = models.find(({ id }) => id === name);
    assert.equal(model.state, 'broken');
    assert.match(model.problem, /\S/);
    const { status, body } = await daemon.post('/v1/chat/completions', chat(name));
    assert.ok(status >= 400 && status < 500, `${status}`);
    assert.equal(body.error.code, 'model_broken');
    assert.ok(body.error.message.includes(model.problem), body.error.message);
  }
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
});

test('a model truncated after the scan fails to load, and says so', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'tiny-qwen2'] });
  truncateSync(join(daemon.home.models, 'tiny.gguf'), statSync(sample('tiny')).size >> 1);
  const { status, body } = await daemon.post('/v1/chat/completions', chat('tiny'));
  assert.ok(status >= 400);
  assert.match(body.error.code, /load_failed|model_broken|worker_crashed/);
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny-qwen2'))).status, 200);
});

test('a home too deep for a socket: an error with the limit, not a crash', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  home.path = join(home.path, 'deep'.repeat(30));
  mkdirSync(home.path);
  const daemon = spawnDaemon(home);
  t.after(() => daemon.stop());
  await listening(daemon).catch(() => {});
  if (daemon.how) {
    assert.match(daemon.stderr, /107/);
    return;
  }
  home.add('tiny');
  await warm(daemon);
  await daemon.post('/api/v1/scan', {});
  const { status, body } = await daemon.post('/v1/chat/completions', chat('tiny'));
  if (status !== 200) assert.match(body.error.message, /107/);
});

// A command before the daemon's that gives it a small file system of its own at `folder`, or
// nothing where that is not allowed. (Python makes the system call: mount(8) may not be there.)
function smallDisk(folder) {
  const mount =
    'import ctypes, os, sys\n' +
    'libc = ctypes.CDLL(None, use_errno=True)\n' +
    'if libc.mount(b"none", sys.argv[1].encode(), b"tmpfs", 0, b"size=2m"): sys.exit(1)\n' +
    'os.execvp(sys.argv[2], sys.argv[2:])';
  for (const propagation of ['private', 'unchanged']) {
    const line = ['unshare', '--mount', '--propagation', propagation];
    line.push('python3', '-c', mount, folder);
    if (spawnSync(line[0], [...line.slice(1), 'true']).status === 0) return line;
  }
  return undefined;
}

test('a full disk: the daemon answers on, says so, and recovers', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const disk = join(home.path, 'd');
  mkdirSync(disk);
  const before = smallDisk(disk);
  if (!before) return t.skip('no mounts can be made here');
  const daemon = await startDaemon(t, {
    home,
    models: ['tiny'],
    before,
    env: { INGLE_HOME: disk },
  });
  const inside = `/proc/${daemon.pid}/root${disk}`;
  assert.ok(readdirSync(inside).length > 0);
  const block = Buffer.alloc(1 << 20);
  const fill = join(inside, 'fill');
  for (let size = block.length; size > 0;) {
    try {
      writeFileSync(fill, block.subarray(0, size), { flag: 'a' });
    } catch {
      size >>= 1;
    }
  }
  for (let i = 0; i < 20; i++) await daemon.get(`/api/v1/nothing-${i}`);
  home.add('tiny-qwen2');
  const scanned = await daemon.post('/api/v1/scan', {});
  if (scanned.status !== 200) assert.match(scanned.body.error.code, /disk_full|database_error/);
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
  const full = () =>
    /disk_full|No space left|disk is full|database or disk is full/.test(daemon.stderr);
  await waitFor('it to be told', full);
  rmSync(fill);
  const after = await waitFor('the scan to work again', async () => {
    const { status, body } = await daemon.post('/api/v1/scan', {});
    return status === 200 && body.models.length === 2;
  });
  assert.ok(after);
});

test('a clock that jumps disturbs neither timers nor requests', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const offset = join(home.path, 'offset');
  const jump = (seconds) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeFileSync(offset, bytes, { flag: existsSync(offset) ? 'r+' : 'w' });
  };
  jump(0);
  const daemon = await startDaemon(t, {
    home,
    models: ['tiny'],
    env: { LD_PRELOAD: join(BUILD, 'lib/libjumping_clock.so'), INGLE_TEST_CLOCK: offset },
    args: ['--set', 'models.keep_alive=1h'],
  });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const [{ pid }] = await daemon.residents();
  const day = 86_400;
  for (const seconds of [2 * day, -2 * day, 0]) {
    jump(seconds);
    assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
    const [resident] = await daemon.residents();
    assert.equal(resident?.pid, pid, `a jump of ${seconds} s unloaded the model`);
    // That the daemon did see the jump: it dates what it tells by its own clock.
    const { unload_unix_ms: unload } = resident;
    assert.ok(Math.abs(unload - Date.now() - seconds * 1000) < 2 * 3_600_000, `${unload}`);
  }
  const { body } = await daemon.get('/livez');
  assert.ok(body.uptime_ms > 0 && body.uptime_ms < 600_000);
});

test('the command line says when no daemon runs', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  for (const args of [['ls'], ['ps'], ['load', 'tiny'], ['run', 'tiny', 'hello']]) {
    const { code, stderr } = await ingle(home, args);
    assert.equal(code, 1, args[0]);
    assert.match(stderr, /ingle serve/, args[0]);
  }
  assert.equal(
    processes().some(({ command }) => command.includes(home.path)),
    false,
  );
});
