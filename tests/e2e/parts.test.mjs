// Goal: models that lack parts draw with those that lie about, the very picture that the whole
// model draws; parts are listed with who uses them, named by people, and refused when they do not
// fit. Method: the tiny golden models taken apart into the files that people publish, beside the
// folders that they came from, in real daemons with the real worker.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, TOP, ingle, startDaemon } from './harness.mjs';

const GOLDEN = join(TOP, 'tests/golden/diffusion');
const EXACT = ['--set', 'images.precision=f32', '--set', 'images.executor=onednn'];
const tool = (name, ...args) => execFileSync(join(BUILD, 'bin', name), args, { stdio: 'pipe' });
const data = (file) => {
  const bytes = readFileSync(file);
  return bytes.subarray(bytes.indexOf('IDAT'));
};

class Models extends Home {
  at = (...path) => join(this.models, ...path);
  // A golden model, whole or some folders of it, as people lay them out.
  copy(golden, to, ...parts) {
    if (parts.length === 0) cpSync(join(GOLDEN, golden), this.at(to), { recursive: true });
    for (const part of parts)
      cpSync(join(GOLDEN, golden, part), this.at(to, part), { recursive: true });
  }
  // Draws with a model and gives the picture's bytes.
  async draw(model, more = []) {
    const out = join(this.path, `${model}.png`.replaceAll('/', '-'));
    const seed = ['--seed', '5', '--steps', '2', '--size', '64x64'];
    const args = ['image', 'a photo of a cat', '--model', model, '-o', out, ...seed, ...more];
    const drawn = await ingle(this, args);
    assert.equal(drawn.code, 0, drawn.stderr);
    return data(out);
  }
}

async function start(t, lay, args = []) {
  const home = new Models();
  t.after(() => home.remove());
  lay(home);
  const daemon = await startDaemon(t, { home, args: [...EXACT, ...args] });
  const list = async () => {
    const { models } = (await daemon.get('/api/v1/models')).body;
    return Object.fromEntries(models.map((model) => [model.id, model]));
  };
  return { home, daemon, list };
}

test('one original file without a tokenizer draws what its folder draws', async (t) => {
  const { home, list } = await start(t, (home) => {
    home.copy('full_sd15', 'whole');
    tool('ingle-write-original', home.at('whole'), home.at('original.safetensors'));
  });
  const models = await list();
  const { original } = models;
  assert.equal(original.state, 'usable', original.problem);
  assert.equal(original.architecture, 'sd1');
  assert.deepEqual(
    original.parts.filter(({ component }) => component).map(({ role }) => role),
    ['tokenizer'],
  );
  assert.deepEqual(models.whole.used_by, ['original']);
  assert.deepEqual(await home.draw('original'), await home.draw('whole'));
});

// A GGUF of FLUX's transformer and one in safetensors, with one set of components for both.
function layFlux(home) {
  home.copy('full_flux_schnell', 'whole');
  mkdirSync(home.at('flux'));
  home.copy('full_flux_schnell', 'flux', 'tokenizer', 'tokenizer_2');
  const own = (role, file, name) => {
    home.copy('full_flux_schnell', 'parts', role);
    renameSync(home.at('parts', role, file), home.at('parts', role, name));
  };
  own('vae', 'diffusion_pytorch_model.safetensors', 'ae.safetensors');
  own('text_encoder', 'model.safetensors', 'clip_l.safetensors');
  own('text_encoder_2', 'model.safetensors', 't5xxl.safetensors');
  tool('ingle-convert', home.at('whole/transformer'), home.at('flux/packed.gguf'), '--type', 'F32');
  tool('ingle-write-original', home.at('whole'), home.at('flux/plain.safetensors'));
  const prefixed = home.at('flux/prefixed.safetensors');
  tool('ingle-write-original', home.at('whole'), prefixed, 'model.diffusion_model.');
}

test('a transformer alone draws with parts that are shared', async (t) => {
  const { home, daemon, list } = await start(t, layFlux);
  const whole = await home.draw('whole');
  // From here on there is one of each part.
  rmSync(home.at('whole'), { recursive: true });
  await daemon.post('/api/v1/scan', {});
  const models = await list();
  for (const name of ['packed', 'plain', 'prefixed']) {
    const model = models[name];
    assert.equal(model.state, 'usable', model.problem);
    const parts = Object.fromEntries(model.parts.map((part) => [part.role, part]));
    assert.equal(parts.vae.component, 'ae');
    assert.equal(parts.text_encoder.component, 'clip_l');
    assert.equal(parts.text_encoder_2.component, 't5xxl');
    assert.equal(parts.tokenizer.path, home.at('flux/tokenizer'));
    assert.equal(parts.transformer.path, '');
    const sum = model.parts.reduce((bytes, part) => bytes + part.size_bytes, 0);
    assert.equal(model.size_bytes, sum, 'the parts count');
    assert.deepEqual(await home.draw(name), whole, name);
  }
  assert.equal(models.ae.kind, 'component');
  assert.deepEqual(models.ae.used_by, ['packed', 'plain', 'prefixed']);

  const listed = (await ingle(home, ['ls'])).stdout;
  assert.match(listed, /ae\s+component .*used by packed, plain, prefixed/);
  const shown = await ingle(home, ['show', 'plain']);
  assert.match(shown.stdout, /vae\s+ae\b.*the only one that fits/, shown.stderr);
  const offered = (await daemon.get('/v1/models')).body.data.map(({ id }) => id);
  assert.deepEqual(offered.sort(), ['packed', 'plain', 'prefixed']);
  const chosen = await daemon.post('/api/v1/load', { model: 'ae' });
  assert.equal(chosen.body.error.code, 'unsupported');
  assert.match(chosen.body.error.message, /packed, plain, prefixed/);
  // The worker was told, and the plan says so.
  const plan = (await daemon.post('/api/v1/load', { model: 'plain', explain: true })).body.plan;
  const vae = plan.settings.find(({ name }) => name === 'vae');
  assert.equal(vae.value, home.at('parts/vae/ae.safetensors'));
});

test('parts are named, and what does not fit is refused', async (t) => {
  const home = new Models();
  t.after(() => home.remove());
  layFlux(home);
  home.copy('full_sd15', 'sd');
  rmSync(home.at('sd/vae'), { recursive: true });
  cpSync(home.at('parts/vae'), join(home.path, 'elsewhere'), { recursive: true });
  const far = join(home.path, 'elsewhere/ae.safetensors');
  const named = JSON.stringify([`plain vae=${far}`, 'prefixed vae=t5xxl']);
  const args = [...EXACT, '--set', `images.parts=${named}`];
  const daemon = await startDaemon(t, { home, args });
  const { models } = (await daemon.get('/api/v1/models')).body;
  const byId = Object.fromEntries(models.map((model) => [model.id, model]));

  // It lies in no folder with models: the worker may read it all the same.
  const vae = byId.plain.parts.find(({ role }) => role === 'vae');
  assert.equal(vae.path, far);
  assert.match(vae.reason, /images\.parts/);
  assert.deepEqual(await home.draw('plain'), await home.draw('whole'));

  assert.equal(byId.prefixed.state, 'incomplete');
  assert.match(byId.prefixed.problem, /T5 text encoder.*expected a VAE of 16 channels/);
  assert.equal(byId.sd.state, 'incomplete');
  assert.match(byId.sd.problem, /'vae' is missing: a VAE of 4 channels.*'ae' does not fit/);
  const drawn = await ingle(home, ['image', 'x', '--model', 'sd']);
  assert.equal(drawn.code, 1);
  assert.match(drawn.stderr, /a VAE of 4 channels/);

  // By a request: what fits, and what does not.
  const load = (set) => daemon.post('/api/v1/load', { model: 'packed', explain: true, set });
  const asked = (await load(['vae=whole'])).body.plan.settings.find(({ name }) => name === 'vae');
  assert.equal(asked.value, home.at('whole/vae'));
  assert.equal(asked.origin, 'request');
  const refused = await load(['vae=t5xxl']);
  assert.equal(refused.status, 400);
  assert.match(refused.body.error.message, /nothing of that name fits 'packed'; these fit: .*ae/);

  // Only the files of the parts that are used have to be there.
  rmSync(join(home.path, 'elsewhere'), { recursive: true });
  const gone = await load([]);
  assert.equal(gone.body.error?.code, 'model_broken', JSON.stringify(gone.body));
  assert.equal((await load(['vae=whole'])).status, 200);

  const wrong = await ingle(home, ['serve', '--set', 'images.parts=["nonsense"]', '--port', '0']);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /MODEL ROLE=PATH/);
});
