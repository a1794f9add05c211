// Goal: the events' WebSocket agrees on a version, numbers what it sends, resumes, tells of gaps,
// and lets no slow reader hold up the daemon. Method: clients that behave and clients that do not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { Socket, openEvents, startDaemon, waitFor } from './harness.mjs';

const reply = (socket) => socket.next(({ type }) => type === 'hello_reply', 'hello_reply');
const numbers = (socket) =>
  socket.messages.filter(({ type }) => type === 'event').map(({ sequence }) => sequence);

test('hello is answered with version and number', async (t) => {
  const daemon = await startDaemon(t);
  const socket = await openEvents(daemon);
  const hello = await reply(socket);
  assert.equal(hello.protocol_version, 1);
  assert.match(hello.version, /^\d+\.\d+\.\d+/);
  assert.equal(typeof hello.sequence, 'number');
  assert.equal(hello.gap, false);
  await socket.close();
});

test('another version gets a typed error with those that are spoken', async (t) => {
  const daemon = await startDaemon(t);
  for (const version of [0, 2, 999, -1]) {
    const socket = await openEvents(daemon, { protocol_version: version });
    const error = await socket.next(({ type }) => type === 'error');
    assert.equal(error.error.code, 'version_mismatch');
    assert.deepEqual(error.protocol_versions, [1, 1]);
    assert.match(error.error.message, /1/);
    await socket.closed;
  }
});

test('who says nothing, or something else first, is not kept', async (t) => {
  const daemon = await startDaemon(t);
  const socket = await new Socket(`${daemon.url}/api/v1/events`).opened;
  socket.send({ type: 'subscribe', topics: ['log'] });
  const error = await socket.next(({ type }) => type === 'error');
  assert.match(error.error.code, /malformed|invalid_argument|conflict/);
  await socket.closed;
});

test('a subscription says which topics, and can change', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const socket = await openEvents(daemon, { topics: ['model'] });
  await reply(socket);
  await daemon.post('/api/v1/load', { model: 'tiny' });
  await socket.next(({ model }) => model?.state === 'ready');
  const states = socket.messages.filter(({ model }) => model).map(({ model }) => model.state);
  const order = ['spawned', 'greeted', 'loading', 'ready'];
  states.length = states.indexOf('ready') + 1;
  assert.deepEqual(
    states.filter((state, i) => state !== states[i - 1]),
    order.filter((state) => states.includes(state)),
  );
  assert.ok(socket.messages.every(({ topic }) => topic === undefined || topic === 'model'));
  socket.send({ type: 'subscribe', topics: ['log'] });
  await waitFor(
    'a record',
    async () => {
      await daemon.post('/api/v1/unload', {});
      await daemon.post('/api/v1/load', { model: 'tiny' });
      return socket.messages.some(({ topic }) => topic === 'log');
    },
    { every: 100 },
  );
  await socket.close();
});

test('a client that comes back goes on where it was', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const first = await openEvents(daemon, { topics: ['model'] });
  await reply(first);
  await daemon.post('/api/v1/load', { model: 'tiny' });
  await first.next(({ model }) => model?.state === 'ready');
  const seen = numbers(first);
  await first.close();
  await daemon.post('/api/v1/unload', {});
  await daemon.post('/api/v1/load', { model: 'tiny' });

  const second = await openEvents(daemon, { topics: ['model'], resume_after: seen.at(-1) });
  assert.equal((await reply(second)).gap, false);
  await second.next(({ model }) => model?.state === 'ready');
  const later = numbers(second);
  assert.ok(later.every((number) => number > seen.at(-1)));
  assert.deepEqual(
    later,
    [...new Set(later)].toSorted((a, b) => a - b),
  );
  await second.close();

  const ahead = await openEvents(daemon, { topics: ['model'], resume_after: 1_000_000_000 });
  assert.equal((await reply(ahead)).gap, true);
  await ahead.close();
});

test('who was away too long is told of the gap', async (t) => {
  const daemon = await startDaemon(t, { args: ['--log-level', 'trace'] });
  for (let i = 0; i < 60; i++)
    await Promise.all(Array.from({ length: 100 }, () => daemon.get('/api/v1/none')));
  const socket = await openEvents(daemon, { topics: ['log'], resume_after: 1 });
  const hello = await reply(socket);
  assert.equal(hello.gap, true, `sequence ${hello.sequence}`);
  await socket.close();
});

test('a reader that does not read is closed, and nobody else suffers', async (t) => {
  const daemon = await startDaemon(t, { args: ['--log-level', 'trace'] });
  const socket = net.connect(daemon.port, '127.0.0.1').on('error', () => {});
  let closed = false;
  socket.on('close', () => (closed = true));
  t.after(() => socket.destroy());
  socket.write(
    'GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n' +
      'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await new Promise((done) => socket.once('data', done));
  socket.pause();
  socket.write(
    frame(JSON.stringify({ type: 'hello', protocol_version: 1, client: 'deaf', topics: ['log'] })),
  );
  // The daemon's end of this connection, as the kernel has it.
  const held = () => connected(daemon.port, socket.localPort);
  assert.ok(held());
  await waitFor(
    'the deaf reader to be closed',
    async () => {
      const path = `/api/v1/none-${'x'.repeat(2000)}`;
      await Promise.all(Array.from({ length: 100 }, () => daemon.get(path)));
      return !held();
    },
    { timeout: 60_000 },
  );
  socket.resume();
  await waitFor('its end', () => closed);
  assert.equal((await daemon.get('/livez')).status, 200);
});

// Whether an established connection of `port` with `peer` is in the kernel's table.
function connected(port, peer) {
  const hex = (number) => number.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some(
      ([, local, remote, state]) =>
        local?.endsWith(`:${hex(port)}`) && remote.endsWith(`:${hex(peer)}`) && state === '01',
    );
}

// A masked text frame, as clients send.
function frame(text) {
  const body = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

test('the OpenAPI document is served and names every route that is used here', async (t) => {
  const daemon = await startDaemon(t);
  const { body } = await daemon.get('/api/v1/openapi.json');
  assert.match(body.openapi, /^3\.1/);
  for (const path of [
    '/livez',
    '/readyz',
    '/api/warmup_status',
    '/api/warmup_wait',
    '/api/warmup_canaries',
    '/api/startup_profile',
    '/api/startup_timeline',
    '/api/io_pool_status',
    '/api/v1/models',
    '/api/v1/scan',
    '/api/v1/ps',
    '/api/v1/load',
    '/api/v1/unload',
    '/api/v1/logs',
  ])
    assert.ok(path in body.paths, path);
});
