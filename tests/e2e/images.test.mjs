// Goal: pictures are drawn, followed, cancelled, kept and found again through every surface, and
// share the memory with text models. Method: real daemons; the picture worker without a model
// (ingle-fake-diffusion) where only what stands around it counts, and the real one with the tiny
// model of the golden data.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, TOP, chat, ingle, startDaemon, waitFor } from './harness.mjs';

const GOLDEN = join(TOP, 'tests/golden/diffusion/full_sd15');
const FAKE = ['--set', `images.worker=${join(BUILD, 'bin/ingle-fake-diffusion')}`];
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');

// A daemon with a picture model called `sd`.
async function startWithModel(t, { args = FAKE, ...options } = {}) {
  const home = new Home();
  cpSync(GOLDEN, join(home.models, 'sd'), { recursive: true });
  t.after(() => home.remove());
  for (const name of options.models ?? []) home.add(name);
  const daemon = await startDaemon(t, { ...options, models: [], home, args });
  return { home, daemon };
}

const draw = async (daemon, request) => {
  const { status, body, text } = await daemon.post('/api/v1/images', request);
  assert.equal(status, 200, text);
  return body;
};
const get = async (daemon, id) => (await daemon.get(`/api/v1/jobs/${id}`)).body;
const inState = (daemon, id, ...states) =>
  waitFor(
    `${id} to be ${states}`,
    async () => {
      const job = await get(daemon, id);
      return states.includes(job.state) && job;
    },
    { timeout: 60_000, every: 20 },
  );
const ended = (daemon, id) => inState(daemon, id, 'completed', 'failed', 'cancelled');
const bytesOf = async (response) => Buffer.from(await response.arrayBuffer());

test('a picture is drawn, kept, found and deleted', async (t) => {
  const { home, daemon } = await startWithModel(t);
  const { models } = (await daemon.get('/api/v1/models')).body;
  assert.equal(models.length, 1);
  assert.equal(models[0].kind, 'image');
  assert.equal(models[0].architecture, 'sd1');
  assert.match((await ingle(home, ['ls'])).stdout, /sd\s+image/);

  const job = await draw(daemon, { prompt: 'a Hearth', width: 64, seed: 5, count: 2 });
  assert.equal(job.kind, 'image');
  const done = await ended(daemon, job.id);
  assert.equal(done.state, 'completed', JSON.stringify(done.error));
  assert.equal(done.image.images.length, 2);
  assert.equal(done.image.seed, 5);
  const [id] = done.image.images;
  const picture = (await daemon.get(`/api/v1/images/${id}`)).body;
  assert.equal(picture.prompt, 'a Hearth');
  assert.equal(picture.model, 'sd');
  assert.equal(picture.seed, 5);
  assert.equal(picture.steps, 4);
  assert.equal(picture.job, job.id);

  const file = await daemon.fetch(`/api/v1/images/${id}/file`);
  assert.equal(file.headers.get('content-type'), 'image/png');
  const bytes = await bytesOf(file);
  assert.deepEqual(bytes.subarray(0, 8), PNG);
  assert.equal(bytes.length, picture.size_bytes);
  assert.match(bytes.toString('latin1'), /a Hearth\nSteps: 4, Sampler: euler, .*Seed: 5/);
  assert.deepEqual(readFileSync(join(home.path, 'data/gallery', picture.file)), bytes);
  const thumbnail = await daemon.fetch(`/api/v1/images/${id}/thumbnail`);
  assert.equal(thumbnail.headers.get('content-type'), 'image/jpeg');

  const page = (await daemon.get('/api/v1/images?count=1')).body;
  assert.equal(page.total, 2);
  assert.equal(page.images[0].id, done.image.images[1]);
  assert.ok(!JSON.stringify(page).includes('base64'));
  const rest = (await daemon.get(`/api/v1/images?count=1&before=${page.next}`)).body;
  assert.equal(rest.images[0].id, id);
  assert.equal((await daemon.get('/api/v1/images?search=hearth')).body.total, 2);
  assert.equal((await daemon.get('/api/v1/images?search=nothing')).body.total, 0);
  assert.equal((await daemon.fetch(`/api/v1/images/${id}`, { method: 'DELETE' })).status, 200);
  assert.equal((await daemon.get(`/api/v1/images/${id}/file`)).status, 404);
  assert.ok(!existsSync(join(home.path, 'data/gallery', picture.file)));
});

test('drawings take turns, show how far they are, and end when told to', async (t) => {
  const { daemon } = await startWithModel(t);
  const first = await draw(daemon, { prompt: 'slow', steps: 1000, preview_every: 1 });
  const second = await draw(daemon, { prompt: 'next' });
  assert.equal(second.state, 'queued');
  const drawing = await waitFor('steps', async () => {
    const job = await get(daemon, first.id);
    return job.progress.done > 2 && job.progress.rate_per_s && job.preview && job;
  });
  assert.equal(drawing.progress.stage, 'drawing');
  assert.equal(drawing.progress.total, 1000);
  assert.equal(drawing.progress.unit, 'steps');
  const preview = await daemon.fetch(`/api/v1/jobs/${first.id}/preview`);
  assert.equal(preview.status, 200);
  assert.equal(preview.headers.get('content-type'), 'image/jpeg');
  assert.equal((await daemon.get(`/api/v1/jobs/${second.id}/preview`)).status, 404);

  const asked = Date.now();
  await daemon.fetch(`/api/v1/jobs/${first.id}`, { method: 'DELETE' });
  assert.equal((await ended(daemon, first.id)).state, 'cancelled');
  const after = await ended(daemon, second.id);
  assert.equal(after.state, 'completed', JSON.stringify(after.error));
  // A thousand steps take 50 s.
  assert.ok(Date.now() - asked < 20_000);
  assert.equal((await daemon.get('/api/v1/images')).body.total, 1, 'only what was finished');
});

test('what goes wrong says what, and the next picture is drawn', async (t) => {
  const { daemon } = await startWithModel(t, { models: ['tiny'] });
  const failed = await ended(daemon, (await draw(daemon, { model: 'sd', prompt: 'fails' })).id);
  assert.equal(failed.error.code, 'out_of_memory');
  const crashed = await ended(daemon, (await draw(daemon, { prompt: 'crashes' })).id);
  assert.equal(crashed.error.code, 'worker_crashed', JSON.stringify(crashed));
  assert.match(crashed.error.message, /SIGABRT/);
  const wrong = await ended(daemon, (await draw(daemon, { prompt: 'x', sampler: 'brush' })).id);
  assert.equal(wrong.error.code, 'invalid_argument');
  assert.equal((await daemon.get('/api/v1/images')).body.total, 0);
  assert.equal((await ended(daemon, (await draw(daemon, { prompt: 'x' })).id)).state, 'completed');
  for (const bad of [{ width: 5 }, { count: 0 }, { steps: 0 }, { strength: 2 }])
    assert.equal((await daemon.post('/api/v1/images', bad)).status, 400, JSON.stringify(bad));
  const text = await daemon.post('/api/v1/images', { model: 'tiny', prompt: 'x' });
  assert.equal(text.body.error.code, 'unsupported');
  const chatting = await daemon.post('/v1/chat/completions', chat('sd'));
  assert.ok(chatting.status >= 400, 'a picture model does not chat');
});

test("A1111's clients are served", async (t) => {
  const { daemon } = await startWithModel(t);
  const post = (verb, body) => daemon.post(`/sdapi/v1/${verb}`, body);
  const [model] = (await daemon.get('/sdapi/v1/sd-models')).body;
  assert.equal(model.title, 'sd');
  const samplers = (await daemon.get('/sdapi/v1/samplers')).body;
  assert.ok(samplers.some(({ name }) => name === 'Euler a'));
  assert.equal((await post('options', { sd_model_checkpoint: 'sd' })).status, 200);
  assert.equal((await daemon.get('/sdapi/v1/options')).body.sd_model_checkpoint, 'sd');

  const drawn = await post('txt2img', {
    prompt: 'a hearth',
    seed: 7,
    batch_size: 2,
    sampler_name: 'Euler',
    width: 64,
    height: 64,
  });
  assert.equal(drawn.status, 200, drawn.text);
  assert.equal(drawn.body.images.length, 2);
  assert.deepEqual(Buffer.from(drawn.body.images[0], 'base64').subarray(0, 8), PNG);
  assert.deepEqual(JSON.parse(drawn.body.info).all_seeds, [7, 8]);

  const changed = await post('img2img', { prompt: 'x', init_images: [drawn.body.images[0]] });
  // The worker without a model cannot begin with a picture, or it can: both are answers.
  assert.ok(changed.status === 200 || changed.body.error === 'unsupported', changed.text);

  const slow = post('txt2img', { prompt: 'slow', steps: 1000 });
  const progress = await waitFor('progress', async () => {
    const { body } = await daemon.get('/sdapi/v1/progress');
    return body.state.sampling_step > 1 && body;
  });
  assert.ok(progress.progress > 0 && progress.progress < 1);
  assert.equal((await post('interrupt', {})).status, 200);
  assert.equal((await slow).body.error, 'conflict');
  const wrong = await post('txt2img', { prompt: 5 });
  assert.equal(wrong.status, 400);
  assert.match(wrong.body.detail, /prompt/);
});

test('the command line draws', async (t) => {
  const { home } = await startWithModel(t);
  const out = join(home.path, 'a.png');
  const one = await ingle(home, ['image', 'a hearth', '-o', out, '--seed', '3', '--size', '64x32']);
  assert.equal(one.code, 0, one.stderr);
  assert.match(one.stdout, /a\.png \(seed 3\)/);
  const bytes = readFileSync(out);
  assert.deepEqual(bytes.subarray(0, 8), PNG);
  assert.equal(bytes.readUInt32BE(16), 64);
  assert.equal(bytes.readUInt32BE(20), 32);
  const again = ['-o', join(home.path, 'b.png'), '--seed', '3', '--size', '64x32', '--n', '2'];
  await ingle(home, ['image', 'a hearth', ...again]);
  const pixels = (file) => readFileSync(file).subarray(-200);
  assert.deepEqual(pixels(join(home.path, 'b-1.png')), pixels(out), 'the same seed');
  assert.notDeepEqual(pixels(join(home.path, 'b-2.png')), pixels(out));
  const wrong = await ingle(home, ['image', 'x', '--sampler', 'brush']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /brush/);
  assert.match((await ingle(home, ['jobs'])).stdout, /image\s+sd\s+completed/);
});

test('a text model makes room for a picture and comes back', async (t) => {
  // Room for one of them: the text model holds some 140 MB, and drawing is told to take 190.
  const { daemon } = await startWithModel(t, {
    models: ['hundred'],
    args: [
      ...FAKE,
      ...'--set memory.ram_budget=300M --set images.yield_after=200ms'.split(' '),
      ...'--set queue.shortest_residency=0s --set text.context_tokens=512'.split(' '),
    ],
  });
  const talk = async () => {
    const { status, text } = await daemon.post('/v1/chat/completions', chat('hundred'));
    assert.equal(status, 200, text);
  };
  await talk();
  const job = await draw(daemon, { prompt: 'a hearth', set: ['picture_side=352'] });
  const done = await ended(daemon, job.id);
  assert.equal(done.state, 'completed', JSON.stringify(done.error));
  const isBack = ({ id, state }) => id === 'hundred' && state === 'ready';
  await waitFor(
    'the text model to come back by itself',
    async () => (await daemon.residents()).some(isBack),
    { timeout: 30_000 },
  );
  await talk();
  const decided = daemon.records().map(({ event }) => event);
  for (const event of ['eviction_decided', 'unload_decided', 'put_back_decided'])
    assert.ok(decided.includes(event), `${event} is in the log`);
});

test('the real worker draws with a tiny model', async (t) => {
  const { home, daemon } = await startWithModel(t, { args: ['--set', 'images.precision=f32'] });
  const { prompt, negative_prompt } = request();
  const paint = async (more = {}) => {
    const job = await draw(daemon, { prompt, negative_prompt, steps: 3, seed: 1, ...more });
    const done = await ended(daemon, job.id);
    assert.equal(done.state, 'completed', JSON.stringify(done.error));
    return bytesOf(await daemon.fetch(`/api/v1/images/${done.image.images[0]}/file`));
  };
  const one = await paint();
  assert.ok(one.length > 200);
  const data = (png) => png.subarray(png.indexOf('IDAT'));
  assert.deepEqual(data(await paint()), data(one), 'the same seed is the same picture');
  assert.notDeepEqual(data(await paint({ seed: 2 })), data(one));
  const [resident] = await daemon.residents();
  assert.equal(resident.kind, 'image');
  assert.match(resident.sandbox, /landlock|seccomp/);
  const out = join(home.path, 'r.png');
  const drawn = await ingle(home, ['image', prompt, '-o', out, '--steps', '2']);
  assert.equal(drawn.code, 0, drawn.stderr);
});

function request() {
  const { prompt, negative_prompt = '' } = JSON.parse(readFileSync(join(GOLDEN, 'prompts.json')));
  return { prompt: [prompt].flat()[0], negative_prompt: [negative_prompt].flat()[0] };
}
