// Goal: however many want how many models, and whatever dies, nobody waits for ever, nothing takes
// more than the budget, and nothing is left behind; and daemons leave each other and everybody else
// alone. Method: clients at random, workers killed at random (seeded); two homes and a stranger.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { Home, alive, chat, sample, startDaemon, waitFor } from './harness.mjs';
import { ERROR_CODES, askAtRandom, killAtRandom, sampleHost, tally } from './sharing.mjs';

const SMALL = ['text.threads=1', 'text.context_tokens=512', 'text.parallel=2'];
const settings = (list) => list.flatMap((setting) => ['--set', setting]);
const MB = 1e6;

test('4 models, 8 clients, workers killed: every request ends, and nothing is left', async (t) => {
  const home = new Home();
  t.after(() => home.remove());
  const models = ['a', 'b', 'c', 'd'];
  for (const name of models) home.add('hundred', name);
  const config = ['memory.ram_budget=330M', 'queue.shortest_residency=200ms', ...SMALL];
  const daemon = await startDaemon(t, { home, args: settings(config) });
  const sampler = sampleHost(daemon, 100);
  const killer = killAtRandom({
    victims: async () => (await daemon.residents()).map(({ id, pid }) => ({ name: id, pid })),
    every: 600,
    each: 2, // a model that crashes more often is not loaded again for a while
    seed: 7,
  });
  const outcomes = await askAtRandom(daemon.url, {
    models,
    clients: 8,
    requests: 60,
    seed: 11,
    body: (model, number, stream) => chat(model, { max_tokens: 2 + (number % 7), stream }),
  });
  await killer.stop();
  await sampler.stop();
  const what = JSON.stringify({ ...tally(outcomes), kills: killer.kills.length });
  t.diagnostic(what);
  assert.equal(outcomes.length, 60);
  for (const outcome of outcomes)
    assert.ok(!outcome.code || ERROR_CODES.has(outcome.code), JSON.stringify(outcome));
  assert.ok(killer.kills.length >= 3, what);
  // Nothing is poisoned by what died.
  const after = await Promise.all(
    models.map((model) => daemon.post('/v1/chat/completions', chat(model, { max_tokens: 2 }))),
  );
  for (const { status, text } of after) assert.equal(status, 200, text);

  const [{ budget_bytes: budget }] = sampler.samples;
  const most = Math.max(...sampler.samples.map(({ resident_bytes: bytes }) => bytes));
  // Two models at once were seen, and never three.
  assert.ok(most > 200 * MB, `${most}`);
  assert.ok(most <= budget + 10 * MB, `${most} of ${budget}`);
  const unloaded = await daemon.post('/api/v1/unload', {});
  assert.equal(unloaded.status, 200, unloaded.text);
  const { body: system } = await daemon.get('/api/v1/system');
  assert.deepEqual(system.reservations, []);
  assert.equal(system.devices[0].committed_bytes, 0);
  assert.equal(system.devices[0].resident_bytes, 0);
  assert.deepEqual(await daemon.residents(), []);
  assert.deepEqual(home.workers(), []);
});

// A llama-server that nobody's daemon started.
async function startStranger(t) {
  const child = spawn(
    'llama-server',
    ['--model', sample('tiny'), '--port', '0', '--no-ui', '--threads', '1', '--offline'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise((done) => child.on('close', done));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += bytes));
  const [, url] = await waitFor(
    'the stranger to listen',
    () => /listening on (http:\/\/127\.0\.0\.1:[1-9]\d*)/.exec(said),
    { timeout: 30_000 },
  );
  return { pid: child.pid, url };
}

test('two daemons and a stranger live beside each other, whoever dies', async (t) => {
  const stranger = await startStranger(t);
  const homes = [new Home(), new Home()];
  for (const home of homes) {
    t.after(() => home.remove());
    home.add('tiny');
  }
  const args = settings(SMALL);
  const [killed, lasting] = await Promise.all(
    homes.map((home) => startDaemon(t, { home, args })),
  );
  const answers = async ({ url }) =>
    (
      await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(chat('tiny', { max_tokens: 2 })),
      })
    ).status;
  const workerOf = async (daemon) => (await daemon.residents())[0].pid;
  for (const server of [killed, lasting, stranger]) assert.equal(await answers(server), 200);
  const [dying, staying] = [await workerOf(killed), await workerOf(lasting)];
  const unharmed = async (when) => {
    assert.equal(await workerOf(lasting), staying, when);
    assert.ok(alive(stranger.pid), when);
    assert.equal(await answers(lasting), 200, when);
    assert.equal(await answers(stranger), 200, when);
  };

  await killed.signal('SIGKILL');
  await waitFor('its worker to go', () => !alive(dying));
  await unharmed('one daemon was killed');
  const again = await startDaemon(t, { home: homes[0], args });
  await unharmed('it was started again');
  assert.equal(await answers(again), 200);
  await again.post('/api/v1/unload', {});
  await unharmed('it unloaded all');
  assert.equal(await answers(again), 200);
  await again.stop();
  await unharmed('it was stopped');
});
