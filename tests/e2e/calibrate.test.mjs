// Goal: `ingle calibrate` ends in time, and what it says, what is kept and how the model is then
// loaded agree; a cancelled one leaves no worker. Method: real llama-server with a tiny model. What
// is fastest is the machine's affair: either outcome is right, a contradiction is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ingle, startDaemon, waitFor } from './harness.mjs';

const calibrated = async (daemon) =>
  (await daemon.get('/api/v1/plan?model=tiny')).body.settings
    .filter(({ origin }) => origin === 'calibrated')
    .map(({ name, value }) => `${name}=${value}`)
    .sort();

test('it ends in time, and its verdict is what is kept and planned', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const args = ['calibrate', 'tiny', '--time', '12s', '--prompt', '64', '--generate', '16'];
  const ran = await ingle(daemon.home, [...args, '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  const { calibration } = JSON.parse(ran.stdout);
  assert.match(calibration.verdict, /\S/);
  const [first] = calibration.trials;
  if (first) {
    assert.deepEqual(first.set, []);
    assert.ok(first.prompt_tokens_per_s > 0 && first.generated_tokens_per_s > 0);
    assert.equal(first.relative_time, 1);
  } else {  // a machine on which others work: that is what it must say, and nothing else
    assert.match(calibration.verdict, /before the default was measured|other programs/);
    assert.deepEqual(calibration.chosen, []);
  }
  for (const { note } of calibration.trials) assert.match(note, /\S/);
  assert.deepEqual(await daemon.residents(), [], 'it was not loaded before');

  assert.equal(calibration.applied, calibration.chosen.length > 0);
  assert.deepEqual(await calibrated(daemon), [...calibration.chosen].sort());
  const kept = await daemon.get('/api/v1/kept_settings/tiny');
  const forgot = await ingle(daemon.home, ['calibrate', 'tiny', '--forget']);
  if (calibration.applied) {
    assert.deepEqual([...kept.body.settings].sort(), [...calibration.chosen].sort());
    assert.equal(kept.body.evidence.trials.length, calibration.trials.length);
    assert.equal(forgot.code, 0, forgot.stderr);
  } else {
    assert.equal(kept.status, 404);
    assert.notEqual(forgot.code, 0);
    assert.match(forgot.stderr, /no settings are kept for 'tiny'/);
  }
  assert.deepEqual(await calibrated(daemon), []);
});

test('a cancelled one leaves no worker', async (t) => {
  const daemon = await startDaemon(t, { models: ['tiny'] });
  const started = await daemon.post('/api/v1/jobs', { kind: 'calibration', model: 'tiny' });
  assert.equal(started.status, 200, started.text);
  const target = `/api/v1/jobs/${started.body.id}`;
  await waitFor('a trial', async () => (await daemon.residents()).length > 0);
  assert.equal((await daemon.fetch(target, { method: 'DELETE' })).status, 200);
  const ended = await waitFor('its end', async () => {
    const { body } = await daemon.get(target);
    return body.state !== 'running' && body;
  });
  assert.equal(ended.state, 'cancelled');
  assert.deepEqual(await daemon.residents(), []);
});
