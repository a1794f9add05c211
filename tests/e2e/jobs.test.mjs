// Goal: long work is followed from anywhere, ends when told to, exactly the one that was meant, and
// is in the history whatever ends the daemon. Method: real daemons and workers; slow models where a
// job must still run when it is looked at.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { Home, INGLE, environment, ingle, openEvents, startDaemon, waitFor } from './harness.mjs';

const LONG = { kind: 'benchmark', model: 'slow', prompt_tokens: 3000, generated_tokens: 1000 };

const start = async (daemon, request) => {
  const { status, body, text } = await daemon.post('/api/v1/jobs', request);
  assert.equal(status, 200, text);
  return body;
};
const get = async (daemon, id) => (await daemon.get(`/api/v1/jobs/${id}`)).body;
const cancel = async (daemon, id) =>
  (await daemon.fetch(`/api/v1/jobs/${id}`, { method: 'DELETE' })).json();
const inState = (daemon, id, ...states) =>
  waitFor(
    `${id} to be ${states}`,
    async () => {
      const job = await get(daemon, id);
      return states.includes(job.state) && job;
    },
    { timeout: 60_000, every: 50 },
  );
const measuring = (daemon, id) =>
  waitFor('the measuring', async () => (await get(daemon, id)).progress?.stage === 'measuring');

test('a benchmark measures, and says with what', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'embedding'] });
  const job = await start(daemon, { kind: 'benchmark', model: 'tiny' });
  assert.equal(job.id, 'job-1');
  assert.equal(job.state, 'running');
  const ended = await inState(daemon, job.id, 'completed', 'failed');
  assert.equal(ended.error, undefined);
  const { benchmark } = ended;
  assert.equal(benchmark.runs, 5);
  assert.ok(benchmark.prompt_tokens > 100 && benchmark.generated_tokens > 10);
  assert.ok(benchmark.prompt_tokens_per_s > benchmark.generated_tokens_per_s);
  assert.ok(benchmark.generated_tokens_per_s > 0);
  assert.ok(benchmark.resident_bytes > 1 << 20);
  assert.ok(benchmark.settings.some(({ name }) => name === 'threads'));
  assert.equal(ended.progress.share, 1);
  const [resident] = await daemon.residents();
  assert.equal(resident.requests_running, 0, 'the lease was given back');

  const refused = await daemon.post('/api/v1/jobs', { kind: 'benchmark', model: 'embedding' });
  assert.equal(refused.body.error.code, 'unsupported', refused.text);
  const large = await start(daemon, { ...LONG, model: 'tiny', prompt_tokens: 100_000 });
  const failed = await inState(daemon, large.id, 'failed', 'completed');
  assert.equal(failed.error.code, 'invalid_argument');
  assert.match(failed.error.message, /context/);
});

test('jobs are listed in pages, and wrong questions refused', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  for (let i = 0; i < 3; ++i) {
    const { id } = await start(daemon, { model: 'tiny' });
    assert.equal((await inState(daemon, id, 'completed', 'failed')).state, 'completed');
  }
  const ids = async (query) => {
    const { body } = await daemon.get(`/api/v1/jobs${query}`);
    return body.jobs.map(({ id }) => id);
  };
  assert.deepEqual(await ids(''), ['job-3', 'job-2', 'job-1']);
  assert.deepEqual(await ids('?count=1'), ['job-3']);
  assert.deepEqual(await ids('?before=job-3&count=1'), ['job-2']);
  assert.deepEqual(await ids('?state=failed'), []);
  for (const query of ['?count=0', '?count=x', '?state=lost', '?before=3'])
    assert.equal((await daemon.get(`/api/v1/jobs${query}`)).status, 400, query);
  assert.equal((await daemon.get('/api/v1/jobs/job-9')).status, 404);
  assert.equal((await daemon.get('/api/v1/jobs/..%2Fx')).status, 400);
  const wrong = [
    [{ model: 'nobody' }, 404],
    [{ model: 'tiny', keep_alive: 'soon' }, 400],
    [{ model: 'tiny', kind: 'benchmark', prompt_tokens: 0 }, 400],
    [{ model: 'tiny', kind: 'dance' }, 400],
  ];
  for (const [request, status] of wrong)
    assert.equal((await daemon.post('/api/v1/jobs', request)).status, status);
});

test('events go on from a number, and end with the end', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow'] });
  const first = await openEvents(daemon, { topics: ['job'] });
  await first.next(({ type }) => type === 'hello_reply');
  const job = await start(daemon, { ...LONG, prompt_tokens: 16, generated_tokens: 4 });
  const seen = await first.next(({ job }) => job?.state === 'running');
  await first.close();
  await inState(daemon, job.id, 'completed', 'failed');
  const second = await openEvents(daemon, { topics: ['job'], resume_after: seen.sequence });
  const reply = await second.next(({ type }) => type === 'hello_reply');
  assert.equal(reply.gap, false);
  const last = await second.next(({ job }) => job?.ended_unix_ms);
  assert.equal(last.job.state, 'completed');
  const events = [...first.messages, ...second.messages].filter(({ type }) => type === 'event');
  const sequences = events.map(({ sequence }) => sequence);
  assert.deepEqual(sequences, [...new Set(sequences)].sort((a, b) => a - b));
  const shares = events.map(({ job }) => job.progress.share);
  assert.deepEqual(shares, shares.toSorted((a, b) => a - b), 'progress never goes back');
  assert.deepEqual(last.job, await get(daemon, job.id));
  await second.close();
});

test('cancel ends the one that is meant, and its work', async (t) => {
  const daemon = await startDaemon(t, { models: ['slow', 'tiny'] });
  const first = await start(daemon, LONG);
  const second = await start(daemon, LONG);
  const third = await start(daemon, { kind: 'benchmark', model: 'tiny' });
  await measuring(daemon, first.id);
  assert.equal((await cancel(daemon, second.id)).state, 'cancelled');
  assert.equal((await get(daemon, first.id)).state, 'running');
  assert.equal((await get(daemon, third.id)).state, 'queued');
  await cancel(daemon, first.id);
  assert.equal((await inState(daemon, first.id, 'cancelled', 'completed')).state, 'cancelled');
  assert.equal((await inState(daemon, third.id, 'completed', 'failed')).state, 'completed');
  const again = await cancel(daemon, first.id);
  assert.equal(again.state, 'cancelled');
  assert.equal((await cancel(daemon, third.id)).state, 'completed', 'an ended job stays as it is');
});

test('a killed daemon leaves an interrupted job, and its number is not used again', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = await startDaemon(t, { home, models: ['slow', 'tiny'] });
  const running = await start(daemon, LONG);
  const queued = await start(daemon, LONG);
  await measuring(daemon, running.id);
  await daemon.signal('SIGKILL');
  const next = await startDaemon(t, { home });
  for (const { id } of [running, queued]) {
    const job = await get(next, id);
    assert.equal(job.state, 'interrupted');
    assert.ok(job.ended_unix_ms >= job.created_unix_ms);
  }
  assert.equal((await start(next, { model: 'tiny' })).id, 'job-3');
});

test('a stop in order interrupts at once', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const daemon = await startDaemon(t, { home, models: ['slow'] });
  const { id } = await start(daemon, LONG);
  await measuring(daemon, id);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  const next = await startDaemon(t, { home });
  assert.equal((await get(next, id)).state, 'interrupted');
});

test('ingle bench and ingle jobs', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny', 'slow'] });
  const { home } = daemon;
  const bench = await ingle(home, ['bench', 'tiny', '--set', 'threads=1']);
  assert.equal(bench.code, 0, bench.stderr);
  assert.match(bench.stdout, /^tiny: [\d.e+]+ tokens\/s read, [\d.e+]+ tokens\/s generated\n/);
  assert.match(bench.stdout, /threads +1 +request/);
  const json = await ingle(home, ['bench', 'tiny', '--prompt-tokens', '50', '--json']);
  assert.equal(JSON.parse(json.stdout).benchmark.prompt_tokens, 50);
  const nobody = await ingle(home, ['bench', 'nobody']);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /nobody/);

  const interrupted = spawn(INGLE, ['bench', 'slow', '--prompt-tokens', '3000'], {
    env: environment(home),
    stdio: 'ignore',
  });
  const ended = new Promise((done) => interrupted.on('close', done));
  await measuring(daemon, 'job-3');
  interrupted.kill('SIGINT');
  assert.equal(await ended, 130);
  assert.equal((await get(daemon, 'job-3')).state, 'cancelled');

  const long = await start(daemon, LONG);
  const list = await ingle(home, ['jobs']);
  assert.match(list.stdout, /^JOB +KIND +MODEL +STATE/);
  assert.match(list.stdout, /job-4 +benchmark +slow +running +\[/);
  assert.match(list.stdout, /job-3 +benchmark +slow +cancelled/);
  const cancelled = await ingle(home, ['jobs', 'cancel', long.id]);
  assert.match(cancelled.stdout, /^job-4 is (being )?cancelled\n$/);
  const followed = await ingle(home, ['jobs', 'follow', long.id]);
  assert.equal(followed.code, 1);
  assert.match(followed.stdout, /^job-4: benchmark of slow, cancelled\n/);
  assert.match((await ingle(home, ['jobs', 'show', 'job-1'])).stdout, /tokens\/s read/);
  assert.equal((await ingle(home, ['jobs', 'show', 'job-99'])).code, 1);
});
