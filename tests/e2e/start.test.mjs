// Goal: the daemon answers first and warms behind, tells how it started, holds its home alone and
// stops cleanly. Method: real daemons in homes of their own; order is asserted, never durations.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  Home,
  alive,
  ingle,
  listening,
  raw,
  spawnDaemon,
  startDaemon,
  statusOf,
  waitFor,
} from './harness.mjs';

test('livez and readyz, and the id and version on every answer', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const live = await daemon.get('/livez');
  assert.equal(live.status, 200);
  assert.equal(live.body.status, 'live');
  assert.equal(live.body.pid, daemon.pid);
  assert.ok(live.body.uptime_ms > 0);
  assert.match(live.headers.get('x-request-id'), /\S/);
  assert.equal(live.headers.get('x-ingle-protocol'), '1');
  const ready = await daemon.get('/readyz');
  assert.deepEqual(ready.body, { ready: true, pending: [], failed: [] });
  const other = await daemon.get('/livez');
  assert.notEqual(other.headers.get('x-request-id'), live.headers.get('x-request-id'));
});

test('before the core is usable, readyz says 503 and when to try again', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'], until: 'listening' });
  let early;
  do {
    early = await daemon.get('/readyz');
    if (early.status === 200) break;
    assert.equal(early.status, 503);
    assert.ok(Number(early.headers.get('retry-after')) >= 1);
    assert.ok(early.body.pending.length > 0);
  } while (true);
  assert.equal(early.body.ready, true);
});

test('the start-up surface tells one story', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const waited = await daemon.get('/api/warmup_wait?timeout=30');
  assert.equal(waited.status, 200);
  assert.equal(waited.body.done, true);
  assert.deepEqual(waited.body.pending, []);
  assert.deepEqual(waited.body.failed, []);
  const status = await daemon.get('/api/warmup_status');
  assert.deepEqual(status.body, waited.body);

  const { canaries } = (await daemon.get('/api/warmup_canaries')).body;
  assert.deepEqual(canaries.map(({ name }) => name).sort(), [...status.body.completed].sort());
  assert.ok(canaries.some(({ core }) => core));
  for (const canary of canaries) {
    assert.equal(canary.state, 'completed', canary.name);
    assert.match(canary.thread, /\S/);
    assert.ok(canary.submitted_ms <= canary.started_ms, canary.name);
    assert.ok(canary.started_ms <= canary.ended_ms, canary.name);
  }

  const profile = (await daemon.get('/api/startup_profile')).body;
  assert.equal(profile.count, profile.phases.length);
  assert.ok(profile.count > 0);
  const sum = profile.phases.reduce((total, { duration_ms }) => total + duration_ms, 0);
  assert.ok(Math.abs(sum - profile.total_ms) < 0.01);
  for (const [i, phase] of profile.phases.slice(1).entries())
    assert.ok(phase.start_ms >= profile.phases[i].start_ms, phase.name);

  const line = (await daemon.get('/api/startup_timeline')).body;
  const moments = [line.main_ms, line.listen_ms, line.first_answer_ms, line.ready_ms, line.warm_ms];
  for (const moment of moments) assert.equal(typeof moment, 'number');
  assert.ok(line.main_ms >= 0);
  assert.ok(line.main_ms <= line.listen_ms);
  assert.ok(line.listen_ms <= line.first_answer_ms);
  assert.ok(line.listen_ms <= line.ready_ms);
  assert.ok(line.ready_ms <= line.warm_ms);
  assert.ok(Math.abs(line.exec_unix_ms - Date.now()) < 120_000);
  for (const canary of canaries) assert.ok(canary.started_ms >= line.listen_ms, canary.name);

  const pool = (await daemon.get('/api/io_pool_status')).body;
  assert.equal(pool.threads, 4);
  assert.deepEqual(
    pool.lanes.map(({ name }) => name),
    ['interactive', 'normal', 'bulk'],
  );
  assert.ok(pool.lanes.reduce((total, { completed }) => total + completed, 0) > 0);
  assert.ok(pool.loop_turns > 0);
  assert.equal(pool.loop_stalls, 0, `the longest turn took ${pool.loop_turn_ms_max} ms`);
});

test('a parked wait neither blocks others nor outlives its limit', async (t) => {
  const daemon = await startDaemon(t, { until: 'listening' });
  const parked = Array.from({ length: 40 }, () => daemon.get('/api/warmup_wait?timeout=30'));
  assert.equal((await daemon.get('/livez')).status, 200);
  for (const { status, body } of await Promise.all(parked)) {
    assert.equal(status, 200);
    assert.equal(body.done, true);
  }
  for (const timeout of ['soon', '']) {
    const bad = await daemon.get(`/api/warmup_wait?timeout=${timeout}`);
    assert.equal(bad.status, 400, timeout);
    assert.equal(bad.body.error.code, 'invalid_argument');
  }
});

test('--profile-startup prints the phases', async (t) => {
  const daemon = await startDaemon(t, { args: ['--profile-startup'] });
  const { phases } = (await daemon.get('/api/startup_profile')).body;
  const said = daemon.stdout + daemon.stderr;
  for (const { name } of phases) assert.ok(said.includes(name), `${name} in: ${said}`);
});

test('the lease names the daemon, and goes with it', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = await startDaemon(t, { home });
  const lease = home.lease();
  assert.deepEqual(Object.keys(lease).sort(), ['boot_id', 'pid', 'started_at', 'url']);
  assert.equal(lease.pid, daemon.pid);
  assert.equal(lease.url, daemon.url);
  assert.equal(lease.boot_id, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  assert.match(lease.started_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  assert.ok(Math.abs(Date.parse(lease.started_at) - Date.now()) < 120_000);
  assert.equal(statSync(join(home.path, 'run/daemon.json')).mode & 0o077, 0);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.equal(existsSync(join(home.path, 'run/daemon.json')), false);
});

test('one daemon per home: a second start says who holds it', async (t) => {
  const daemon = await startDaemon(t);
  const second = spawnDaemon(daemon.home);
  const { code } = await second.ended;
  assert.equal(code, 1);
  assert.ok(second.stderr.includes(String(daemon.pid)), second.stderr);
  assert.ok(second.stderr.includes(daemon.url), second.stderr);
  assert.equal((await daemon.get('/livez')).status, 200);
  assert.equal(daemon.home.lease().pid, daemon.pid);
});

test("a lease of a dead daemon stands in nobody's way", async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const first = await startDaemon(t, { home });
  await first.signal('SIGKILL');
  assert.equal(home.lease().pid, first.pid);
  const listed = await ingle(home, ['ps']);
  assert.notEqual(listed.code, 0);
  assert.match(listed.stderr, /ingle serve/);
  const second = await startDaemon(t, { home });
  assert.equal(home.lease().pid, second.pid);
});

test("a garbled lease stands in nobody's way", async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const first = await startDaemon(t, { home });
  await first.stop();
  writeFileSync(join(home.path, 'run/daemon.json'), '{"pid": "me", \0');
  const second = await startDaemon(t, { home });
  assert.equal(home.lease().pid, second.pid);
});

test('a port that is taken is an error that names it', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const holder = net.createServer().listen(0, '127.0.0.1');
  t.after(() => holder.close());
  await waitFor('the holder', () => holder.listening);
  const { port } = holder.address();
  const daemon = spawnDaemon(home, { port });
  assert.equal((await daemon.ended).code, 1);
  assert.match(daemon.stderr, new RegExp(String(port)));
  assert.match(daemon.stderr, /in use/);
});

test('a port that was just used can be used again at once', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const first = await startDaemon(t, { home });
  const { port } = first;
  await first.get('/livez');
  await first.stop();
  const second = await startDaemon(t, { home, port });
  assert.equal(second.port, port);
});

test('--unix listens there as well, for its user only', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const path = join(home.path, 'api.sock');
  await startDaemon(t, { home, args: ['--unix', path] });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const text = await new Promise((done, fail) => {
    let said = '';
    const socket = net.connect(path, () =>
      socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
    );
    socket
      .on('data', (bytes) => (said += bytes))
      .on('close', () => done(said))
      .on('error', fail);
  });
  assert.equal(statusOf(text), 200);
});

test("a unix socket's path that is too long is an error with the limit", async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = spawnDaemon(home, {
    args: ['--unix', join(home.path, `${'x'.repeat(120)}.sock`)],
  });
  assert.equal((await daemon.ended).code, 1);
  assert.match(daemon.stderr, /107/);
});

test('SIGINT and SIGTERM end an idle daemon with 0', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    const daemon = await startDaemon(t);
    assert.deepEqual(await daemon.signal(signal), { code: 0, signal: null });
    assert.equal(alive(daemon.pid), false);
  }
});

test('kept-alive connections do not hold up the stop', async (t) => {
  const daemon = await startDaemon(t);
  const held = raw(daemon.port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n', {
    timeout: 20_000,
  });
  await waitFor('the answer', async () => (await daemon.get('/livez')).status === 200);
  assert.deepEqual(await daemon.signal('SIGTERM'), { code: 0, signal: null });
  assert.equal((await held).closed, true);
});

test('INGLE_HOME holds everything; nothing is written beside it', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = spawnDaemon(home, { env: { HOME: '/nowhere' } });
  await listening(daemon);
  await daemon.stop();
  assert.equal(existsSync('/nowhere'), false);
  assert.equal(existsSync(join(home.path, '.local')), false);
});
