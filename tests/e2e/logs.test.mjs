// Goal: the log is structured, bounded and honest: no input can forge a line, a worker's output is
// attributed to it once. Method: requests with control characters; the three ways to read the log.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  Home,
  chat,
  ingle,
  openEvents,
  raw,
  spawnDaemon,
  startDaemon,
  listening,
  waitFor,
} from './harness.mjs';

test('JSON lines where there is no terminal: every record whole', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'], env: { INGLE_LOG_FORMAT: 'auto' } });
  assert.equal((await daemon.post('/v1/chat/completions', chat('tiny'))).status, 200);
  await waitFor('records', () => daemon.records().length > 2);
  for (const line of daemon.stderr.split('\n').filter(Boolean)) {
    const record = JSON.parse(line);
    assert.match(record.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/);
    assert.match(record.level, /^(trace|debug|info|warning|error)$/);
    assert.match(record.logger, /^[\w.-]+$/);
    assert.match(record.event, /^[a-z][a-z0-9_]*$/);
    assert.equal(typeof record.message, 'string');
  }
});

test('INGLE_LOG_FORMAT=text writes lines for people', async (t) => {
  const daemon = await startDaemon(t, { env: { INGLE_LOG_FORMAT: 'text' } });
  await waitFor('a line', () => daemon.stderr.includes('\n'));
  for (const line of daemon.stderr.split('\n').filter(Boolean)) {
    assert.ok(!line.startsWith('{'), line);
    assert.match(line, /^\d{4}-\d\d-\d\d|^\d\d:\d\d/);
  }
});

test('no request forges a line', async (t) => {
  for (const format of ['text', 'json']) {
    const daemon = await startDaemon(t, {
      models: ['tiny'],
      env: { INGLE_LOG_FORMAT: format },
      args: ['--log-level', 'trace'],
    });
    const forged = '2026-01-01T00:00:00 error daemon forged_event';
    for (const evil of [
      `x\n${forged}`,
      `x\r\n${forged}`,
      `x\u001b[2J\u001b[31m${forged}`,
      `x\u2028${forged}`,
      `x\u0000${forged}`,
      '{"event":"forged_event"}',
    ]) {
      const answer = await daemon.post('/v1/chat/completions', chat(evil));
      assert.equal(answer.status, 404, answer.text);
      await daemon.post('/api/v1/load', { model: evil, set: [`${evil}=1`] });
      await daemon.get(`/api/v1/${encodeURIComponent(evil)}`);
    }
    await raw(
      daemon.port,
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n' +
        `User-Agent: a\x1b[2J\x07 ${forged}\r\n\r\n`,
    );
    const socket = await openEvents(daemon, { client: `x\n${forged}` });
    await socket.next(({ type }) => type === 'hello_reply');
    await socket.close();
    await daemon.stop();
    const said = daemon.stderr;
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(said, /[\x00-\x09\x0b-\x1f\x7f]/, format);
    for (const line of said.split('\n').filter(Boolean)) {
      assert.ok(!line.startsWith('2026-01-01T00:00:00'), line);
      if (format === 'json') assert.notEqual(JSON.parse(line).event, 'forged_event');
    }
  }
});

test("a worker's output is attributed to it, once", async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'], args: ['--log-level', 'trace'] });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  await daemon.post('/api/v1/unload', {});
  await daemon.stop();
  const lines = daemon.records().filter(({ logger }) => logger === 'worker.tiny');
  assert.ok(lines.length > 10, `${lines.length} lines of the worker`);
  for (const { logger, message } of daemon.records())
    if (/llama_model_loader|llama_context:/.test(message)) assert.equal(logger, 'worker.tiny');
  const loader = lines.filter(({ message }) => /loaded meta data with/.test(message));
  assert.equal(loader.length, 1, JSON.stringify(loader));
});

test('the ring and its filters', async (t) => {
  const daemon = await startDaemon(t, {
    args: ['--log-level', 'trace', '--set', 'log.ring_records_max=20'],
  });
  for (let i = 0; i < 40; i++) await daemon.get(`/api/v1/none-${i}`);
  const all = (await daemon.get('/api/v1/logs?count=1000')).body;
  assert.ok(all.records.length <= 20, `${all.records.length}`);
  assert.ok(all.records.length > 0);
  const times = all.records.map(({ time }) => Date.parse(time));
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  const three = (await daemon.get('/api/v1/logs?count=3')).body.records;
  assert.equal(three.length, 3);
  const errors = (await daemon.get('/api/v1/logs?level=error')).body.records;
  assert.ok(errors.every(({ level }) => level === 'error'));
  for (const query of ['count=-1', 'count=x', 'level=loud'])
    assert.equal((await daemon.get(`/api/v1/logs?${query}`)).status, 400, query);
});

test("a request's id leads from its answer to its records", async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'], args: ['--log-level', 'debug'] });
  const answer = await daemon.post('/v1/chat/completions', chat('tiny'));
  const id = answer.headers.get('x-request-id');
  const found = await waitFor('its records', async () => {
    const { records } = (await daemon.get('/api/v1/logs?count=2000')).body;
    const about = records.filter(({ request_id: about }) => about === id);
    return about.length > 0 && about;
  });
  assert.ok(found.every(({ connection_id: connection }) => /^c-\d+$/.test(connection)));
});

test('a follower gets the records as they come', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const socket = await openEvents(daemon, { topics: ['log'] });
  await socket.next(({ type }) => type === 'hello_reply');
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const event = await socket.next(({ log }) => log && /worker|load/.test(log.event));
  assert.equal(event.type, 'event');
  assert.equal(event.topic, 'log');
  const numbers = socket.messages
    .filter(({ type }) => type === 'event')
    .map(({ sequence }) => sequence);
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  await socket.close();
});

test('ingle logs: text, JSON, filters', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const text = await ingle(daemon.home, ['logs']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /tiny/);
  const json = await ingle(daemon.home, ['logs', '--json']);
  const records = json.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  assert.ok(records.length > 0);
  const some = await ingle(daemon.home, ['logs', '--json', '--grep', 'tiny']);
  const fewer = some.stdout.split('\n').filter(Boolean);
  assert.ok(fewer.length > 0 && fewer.every((line) => line.includes('tiny')));
  const errors = await ingle(daemon.home, ['logs', '--json', '--level', 'error']);
  for (const line of errors.stdout.split('\n').filter(Boolean))
    assert.equal(JSON.parse(line).level, 'error');
});

test('the file is rotated and bounded', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = spawnDaemon(home, {
    args: ['--log-level', 'trace', '--set', 'log.file_bytes_max=65536', '--set', 'log.files_max=3'],
  });
  t.after(() => daemon.stop());
  await listening(daemon);
  for (let i = 0; i < 400; i++) await daemon.get(`/api/v1/none-${'x'.repeat(500)}-${i}`);
  await daemon.stop();
  const files = readdirSync(home.path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /ingle.*log/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  assert.ok(files.length >= 2 && files.length <= 4, `${files.length} files`);
  for (const text of files) {
    assert.ok(text.length < 70_000, `${text.length} bytes`);
    for (const line of text.split('\n').filter(Boolean)) JSON.parse(line);
  }
});
