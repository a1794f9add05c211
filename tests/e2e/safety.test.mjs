// Goal: nothing but the person's own programs reaches the daemon, and no client can hurt it.
// Method: raw bytes where a well-behaved client would not send them; each surface's error shape.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  Home,
  Socket,
  ingle,
  openEvents,
  raw,
  spawnDaemon,
  startDaemon,
  statusOf,
  waitFor,
} from './harness.mjs';

const get = (path, headers = {}) =>
  `GET ${path} HTTP/1.1\r\n` +
  Object.entries({ Host: 'localhost', Connection: 'close', ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('') +
  '\r\n';

const post = (path, body, headers = {}) =>
  `POST ${path} HTTP/1.1\r\n` +
  Object.entries({
    Host: 'localhost',
    Connection: 'close',
    'Content-Length': body.length,
    ...headers,
  })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('') +
  `\r\n${body}`;

test('Host: only names of this machine (DNS rebinding)', async (t) => {
  const daemon = await startDaemon(t, { args: ['--set', 'server.allowed_hosts=["hearth.lan"]'] });
  const status = async (host) =>
    statusOf((await raw(daemon.port, get('/livez', { Host: host }))).text);
  const { port } = daemon;
  for (const host of [
    'localhost',
    '127.0.0.1',
    '[::1]',
    `localhost:${port}`,
    `127.0.0.1:${port}`,
    'LOCALHOST',
    'hearth.lan',
    `hearth.lan:${port}`,
  ])
    assert.equal(await status(host), 200, host);
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:46453',
    'localhost@evil.example',
    '',
    'hearth.lan.evil',
  ])
    assert.ok([400, 403].includes(await status(host)), host);
  const without = await raw(daemon.port, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n');
  assert.ok([400, 403].includes(statusOf(without.text)), without.text);
  const twice = await raw(
    daemon.port,
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
  );
  assert.ok([400, 403].includes(statusOf(twice.text)), twice.text);
});

test("Origin: only the daemon's own and those allowed", async (t) => {
  const daemon = await startDaemon(t, {
    args: ['--set', 'server.allowed_origins=["http://localhost:3000"]'],
  });
  const own = new Set([daemon.url, `http://localhost:${daemon.port}`]);
  const ask = async (origin) => {
    const host = own.has(origin) ? new URL(origin).host : `localhost:${daemon.port}`;
    return raw(daemon.port, get('/api/v1/models', { Origin: origin, Host: host }));
  };
  for (const origin of [...own, 'http://localhost:3000']) {
    const { text } = await ask(origin);
    assert.equal(statusOf(text), 200, origin);
    assert.match(text, new RegExp(`access-control-allow-origin: ${origin}\r`, 'i'));
    assert.match(text, /vary:.*origin/i);
  }
  for (const origin of [
    'null',
    'http://evil.example',
    'http://localhost:3001',
    'http://localhost:3000.evil.example',
    `https://127.0.0.1:${daemon.port}`,
    'file://',
  ]) {
    const { text } = await ask(origin);
    assert.equal(statusOf(text), 403, origin);
    assert.doesNotMatch(text, /access-control-allow-origin/i);
    assert.match(text, /"code":"forbidden"/);
  }
});

test('a preflight is answered for allowed origins only', async (t) => {
  const daemon = await startDaemon(t, {
    args: ['--set', 'server.allowed_origins=["http://localhost:3000"]'],
  });
  const ask = (origin) =>
    raw(
      daemon.port,
      'OPTIONS /v1/chat/completions HTTP/1.1\r\n' +
        `Host: localhost\r\nConnection: close\r\nOrigin: ${origin}\r\n` +
        'Access-Control-Request-Method: POST\r\n' +
        'Access-Control-Request-Headers: authorization,content-type\r\n\r\n',
    );
  const good = (await ask('http://localhost:3000')).text;
  assert.ok([200, 204].includes(statusOf(good)), good);
  assert.match(good, /access-control-allow-headers:.*authorization/i);
  assert.equal(statusOf((await ask('http://evil.example')).text), 403);
});

test('Origin holds on the WebSocket, too', async (t) => {
  const daemon = await startDaemon(t);
  for (const origin of ['null', 'http://evil.example']) {
    const socket = new Socket(`${daemon.url}/api/v1/events`, { Origin: origin });
    await assert.rejects(socket.opened);
  }
  const socket = await openEvents(daemon, {}, { Origin: daemon.url });
  await socket.next(({ type }) => type === 'hello_reply');
  await socket.close();
});

test('simple posts from another site are refused, even without Origin', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const body = '{"model":"tiny"}';
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/plain; charset=application/json',
  ]) {
    const { text } = await raw(daemon.port, post('/api/v1/load', body, { 'Content-Type': type }));
    assert.ok([400, 403, 415].includes(statusOf(text)), `${type}: ${text}`);
  }
  const none = await raw(daemon.port, post('/api/v1/load', body));
  assert.ok([400, 403, 415].includes(statusOf(none.text)), none.text);
  const cross = await raw(
    daemon.port,
    post('/api/v1/load', body, {
      'Content-Type': 'application/json',
      'Sec-Fetch-Site': 'cross-site',
    }),
  );
  assert.equal(statusOf(cross.text), 403, cross.text);
  assert.deepEqual(await daemon.residents(), []);
});

test('off loopback only with a key', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const refused = spawnDaemon(home, { args: ['--host', '0.0.0.0'] });
  assert.equal((await refused.ended).code, 1);
  assert.match(refused.stderr, /ingle keys new/);
  const { code, stdout } = await ingle(home, ['keys', 'new', 'laptop']);
  assert.equal(code, 0);
  const [key] = /ingle-[\w-]{43}/.exec(stdout);
  const daemon = await startDaemon(t, { home, args: ['--host', '0.0.0.0'], until: 'listening' });
  const local = `http://127.0.0.1:${daemon.port}`;
  const status = async (headers) => (await fetch(`${local}/api/v1/models`, { headers })).status;
  assert.equal(await status({ Authorization: `Bearer ${key}` }), 200);
});

test('keys: new, ls, rm; only hashes are kept', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const made = await ingle(home, ['keys', 'new', 'phone']);
  assert.equal(made.code, 0, made.stderr);
  const [key] = /ingle-[\w-]{43}/.exec(made.stdout);
  const daemon = await startDaemon(t, {
    home,
    args: ['--set', 'server.require_key=true'],
    until: 'ready',
  });
  const ask = async (headers, path = '/api/v1/models') => daemon.get(path, { headers });
  const good = { Authorization: `Bearer ${key}` };
  assert.equal((await ask(good)).status, 200);

  const bad = [
    {},
    { Authorization: `Bearer ${key}x` },
    { Authorization: `Bearer ${key.slice(0, -1)}` },
    { Authorization: `Basic ${key}` },
    { Authorization: 'Bearer ' },
  ];
  for (const headers of bad) {
    const native = await ask(headers);
    assert.equal(native.status, 401, JSON.stringify(headers));
    assert.equal(native.body.error.code, 'unauthorized');
    const openai = await ask(headers, '/v1/models');
    assert.equal(openai.status, 401);
    assert.equal(openai.body.error.type, 'authentication_error');
  }
  assert.equal((await daemon.get('/livez')).status, 200);
  await assert.rejects(new Socket(`${daemon.url}/api/v1/events`).opened);
  const socket = await openEvents(daemon, {}, good);
  await socket.next(({ type }) => type === 'hello_reply');
  await socket.close();

  const cli = await ingle(home, ['ls'], { env: { INGLE_API_KEY: key } });
  assert.equal(cli.code, 0, cli.stderr);
  const listed = await ingle(home, ['keys', 'ls']);
  assert.match(listed.stdout, /phone/);
  assert.ok(!listed.stdout.includes(key));

  for (const bytes of everyFile(home.path))
    assert.ok(!bytes.includes(key), 'the key is on the disk');
  const removed = await ingle(home, ['keys', 'rm', 'phone']);
  assert.equal(removed.code, 0, removed.stderr);
  await waitFor('the key to be refused', async () => (await ask(good)).status === 401);
  const again = await ingle(home, ['keys', 'rm', 'phone']);
  assert.notEqual(again.code, 0);
});

function everyFile(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
}

test('headers, targets and bodies have limits', async (t) => {
  const daemon = await startDaemon(t, { args: ['--set', 'server.body_bytes_max=100000'] });
  const { port } = daemon;
  const long = await raw(port, get('/livez', { 'X-Long': 'x'.repeat(64 * 1024) }));
  assert.equal(statusOf(long.text), 431, long.text.slice(0, 200));
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`X-${i}`, 'y']));
  assert.equal(statusOf((await raw(port, get('/livez', many))).text), 431);
  const target = await raw(port, get(`/${'x'.repeat(64 * 1024)}`));
  assert.ok([414, 431].includes(statusOf(target.text)), target.text.slice(0, 200));

  const json = { 'Content-Type': 'application/json' };
  const declared = await raw(port, post('/api/v1/load', '', { ...json, 'Content-Length': 100001 }));
  assert.equal(statusOf(declared.text), 413, declared.text);
  assert.match(declared.text, /"code":"limit_exceeded"/);
  const chunk = `${(60_000).toString(16)}\r\n${'x'.repeat(60_000)}\r\n`;
  const chunked = await raw(
    port,
    'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
      'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
      `${chunk}${chunk}0\r\n\r\n`,
  );
  assert.equal(statusOf(chunked.text), 413, chunked.text);
  assert.match(chunked.text, /"type":"invalid_request_error"/);
  assert.equal((await daemon.get('/livez')).status, 200);
});

test('what is not HTTP, or two things at once, is refused', async (t) => {
  const daemon = await startDaemon(t);
  const cases = {
    garbage: '\x00\x01\x02\x03\r\n\r\n',
    'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'two lengths': post('/api/v1/load', '{}', { 'Content-Length': '2\r\nContent-Length: 3' }),
    'length and chunks': post('/api/v1/load', '0\r\n\r\n', {
      'Transfer-Encoding': 'chunked',
      'Content-Length': 5,
    }),
    'a negative length': post('/api/v1/load', '', { 'Content-Length': -1 }),
    'a space before the colon': 'GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n',
    'a path that climbs': get('/v1/../../etc/passwd'),
    'a bad escape': get('/v1/%zz'),
    'a zero byte': get('/v1/models/%00'),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    const { text, closed } = await raw(daemon.port, bytes, { timeout: 15_000 });
    const status = statusOf(text);
    assert.ok(Number.isNaN(status) ? closed : status >= 400 && status < 500, `${name}: ${text}`);
  }
  assert.equal((await daemon.get('/livez')).status, 200);
});

test('JSON has a depth', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  for (const path of ['/api/v1/load', '/v1/chat/completions', '/v1/embeddings']) {
    const body = `{"model":"tiny","messages":${deep},"input":${deep}}`;
    const answer = await daemon.fetch(path, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json' },
    });
    assert.ok([400, 413].includes(answer.status), `${path}: ${answer.status}`);
    const { error } = await answer.json();
    assert.match(error.message, /deep|depth|nest/i);
  }
});

test('connections have a number, and room comes back', async (t) => {
  const daemon = await startDaemon(t, { args: ['--set', 'server.connections_max=8'] });
  const held = [];
  for (let i = 0; i < 12; i++)
    held.push(net.connect(daemon.port, '127.0.0.1').on('error', () => {}));
  t.after(() => held.forEach((socket) => socket.destroy()));
  await waitFor('a refusal', async () => {
    const { text, closed } = await raw(daemon.port, get('/livez'), { timeout: 500 });
    return statusOf(text) === 503 || (closed && text === '');
  });
  held.forEach((socket) => socket.destroy());
  await waitFor(
    'room again',
    async () => statusOf((await raw(daemon.port, get('/livez'), { timeout: 500 })).text) === 200,
  );
});

test('a client that sends its header byte by byte is cut off; others are served', async (t) => {
  const daemon = await startDaemon(t);
  const socket = net.connect(daemon.port, '127.0.0.1').on('error', () => {});
  let closed = false;
  let said = '';
  socket.on('close', () => (closed = true)).on('data', (bytes) => (said += bytes));
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
  const timer = setInterval(() => socket.write('x'), 200);
  t.after(() => clearInterval(timer));
  for (let i = 0; i < 20; i++) assert.equal((await daemon.get('/livez')).status, 200);
  await waitFor('the slow client to be cut', () => closed, { timeout: 30_000 });
  if (said) assert.equal(statusOf(said), 408);
});

test('WebSocket messages have a size, and only text of the protocol is understood', async (t) => {
  const daemon = await startDaemon(t);
  const big = await new Socket(`${daemon.url}/api/v1/events`).opened;
  big.send('x'.repeat((1 << 20) + 1));
  // 1006 when this side was still sending as the socket closed: the reset overtakes the reason.
  assert.ok([1009, 1006].includes((await big.closed).code));
  for (const message of ['{', '[]', '{"type":"dance"}', '{"type":"hello"}', 'null']) {
    const socket = await new Socket(`${daemon.url}/api/v1/events`).opened;
    socket.send(message);
    const error = await socket.next(({ type }) => type === 'error', `an error for ${message}`);
    assert.match(error.error.code, /malformed|invalid_argument|version_mismatch/);
    await socket.closed;
  }
  assert.equal((await daemon.get('/livez')).status, 200);
});

test('errors have the shape of their surface', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const native = await daemon.post('/api/v1/load', { model: 'tinny' });
  assert.equal(native.status, 404);
  assert.equal(native.body.error.code, 'model_not_found');
  assert.match(native.body.error.message, /tiny/);
  assert.equal(native.body.error.request_id, native.headers.get('x-request-id'));

  const openai = await daemon.post('/v1/chat/completions', { model: 'tinny', messages: [] });
  assert.deepEqual(Object.keys(openai.body.error).sort(), ['code', 'message', 'param', 'type']);

  assert.equal((await daemon.get('/api/v1/nothing')).body.error.code, 'not_found');
  assert.equal((await daemon.get('/v1/nothing')).body.error.type, 'invalid_request_error');
  const verb = await daemon.get('/api/v1/load');
  assert.equal(verb.status, 405);
  assert.equal(verb.body.error.code, 'method_not_allowed');
  assert.match(verb.headers.get('allow'), /POST/);
});
