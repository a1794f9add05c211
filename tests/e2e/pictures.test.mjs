// Goal: what a request may ask of a drawing arrives in the picture, through the real daemon and the
// real worker; and what goes wrong meanwhile is told, leaves nothing half done, and does not keep
// the next picture from being drawn. Method: the tiny models of the golden data, whose pixels are
// compared with those of requests that must or must not give the same.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Home, TOP, startDaemon, waitFor } from './harness.mjs';
import {
  decodePng,
  difference,
  makePng,
  tensorShapes,
  writeTensors,
} from './picture_files.mjs';
import { random } from './sharing.mjs';

const GOLDEN = join(TOP, 'tests/golden/diffusion');
const UNET = 'unet/diffusion_pytorch_model.safetensors';
const EXACT = ['--set', 'images.precision=f32'];
const PROMPT = { model: 'sd', prompt: 'a photo of a cat', negative_prompt: 'blurry', seed: 1 };
// 64 by 64 pixels, the tiny model's own size.
const SIDE = 64;

// A LoRA of rank 2 for the queries of the UNet, in the names of kohya's trainer.
function writeAdapter(path, scale) {
  const chance = random(7);
  const numbers = (count) => Array.from({ length: count }, () => scale * (chance() - 0.5));
  const tensors = {};
  for (const [name, [out, into]] of Object.entries(tensorShapes(join(GOLDEN, 'full_sd15', UNET)))) {
    if (!/\.attn[12]\.to_q\.weight$/.test(name)) continue;
    const key = `lora_unet_${name.replace(/\.weight$/, '').replaceAll('.', '_')}`;
    tensors[`${key}.lora_down.weight`] = { shape: [2, into], data: numbers(2 * into) };
    tensors[`${key}.lora_up.weight`] = { shape: [out, 2], data: numbers(2 * out) };
    tensors[`${key}.alpha`] = { shape: [], data: [2] };
  }
  writeTensors(path, tensors);
}

// A daemon with the models `sd` and `flux` and the adapter `style`, and ways to draw.
async function studio(t, { args = EXACT, ...options } = {}) {
  const home = new Home();
  t.after(() => home.remove());
  cpSync(join(GOLDEN, 'full_sd15'), join(home.models, 'sd'), { recursive: true });
  cpSync(join(GOLDEN, 'full_flux_schnell'), join(home.models, 'flux'), { recursive: true });
  writeAdapter(join(home.models, 'style.safetensors'), 8);
  const daemon = await startDaemon(t, { ...options, home, args });
  const get = async (id) => (await daemon.get(`/api/v1/jobs/${id}`)).body;
  const inState = (id, ...states) =>
    waitFor(
      `${id} to be ${states}`,
      async () => {
        const job = await get(id);
        return states.includes(job.state) && job;
      },
      { timeout: 60_000 },
    );
  // Asks for a drawing; `files`: {image, mask} as PNG.
  const ask = async (more = {}, files = {}) => {
    const request = { steps: 3, preview_every: 0, ...PROMPT, ...more };
    let answer;
    if (Object.keys(files).length === 0) {
      answer = await daemon.post('/api/v1/images', request);
    } else {
      const form = new FormData();
      form.append('request', JSON.stringify(request));
      for (const [name, png] of Object.entries(files))
        form.append(name, new Blob([png], { type: 'image/png' }), `${name}.png`);
      const response = await daemon.fetch('/api/v1/images', { method: 'POST', body: form });
      answer = { status: response.status, body: await response.json() };
    }
    return answer;
  };
  const start = async (more, files) => {
    const { status, body } = await ask(more, files);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const end = (id) => inState(id, 'completed', 'failed', 'cancelled', 'interrupted');
  const fileOf = async (id) =>
    Buffer.from(await (await daemon.fetch(`/api/v1/images/${id}/file`)).arrayBuffer());
  // The pictures of a drawing, as PNG.
  const drawAll = async (more, files) => {
    const done = await end((await start(more, files)).id);
    assert.equal(done.state, 'completed', JSON.stringify(done.error));
    return Promise.all(done.image.images.map(fileOf));
  };
  const draw = async (more, files) => decodePng((await drawAll(more, files))[0]);
  // The error of one that is refused, or fails.
  const fail = async (more, files) => {
    const { status, body } = await ask(more, files);
    if (status !== 200) return body.error;
    const done = await end(body.id);
    assert.equal(done.state, 'failed', JSON.stringify(done));
    return done.error;
  };
  return { home, daemon, get, inState, start, end, drawAll, draw, fail };
}

const same = (one, other, why) => assert.ok(difference(one, other) === 0, why);
const differs = (one, other, why) => assert.ok(difference(one, other) > 0.2, why);

test('adapters', async (t) => {
  const { daemon, draw, fail } = await studio(t);
  const { models } = (await daemon.get('/api/v1/models')).body;
  assert.equal(models.find(({ id }) => id === 'style')?.kind, 'adapter');
  const plain = await draw();
  const styled = await draw({ adapters: [{ model: 'style', weight: 1 }] });
  differs(styled, plain, 'an adapter changes the picture');
  same(await draw({ adapters: [{ model: 'style', weight: 0 }] }), plain, 'weight 0 does not');
  const twice = [
    { model: 'style', weight: 0.5 },
    { model: 'style', weight: 0.5 },
  ];
  assert.ok(
    difference(await draw({ adapters: twice }), styled) < difference(plain, styled) / 10,
    'halves add up',
  );
  same(await draw(), plain, 'and goes again');

  const unknown = await fail({ adapters: [{ model: 'stile' }] });
  assert.equal(unknown.code, 'model_not_found', JSON.stringify(unknown));
  assert.match(unknown.message, /style/, 'the near name');
  const wrong = await fail({ adapters: [{ model: 'flux' }] });
  assert.match(wrong.message, /no adapter/, 'a model that draws is none');
  same(await draw(), plain, 'the next picture is drawn');
});

test('a given picture: strength, masks and growth', async (t) => {
  const { draw, fail } = await studio(t);
  const stripes = makePng(SIDE, SIDE, (x, y) => [x < 32 ? 230 : 30, y < 32 ? 200 : 60, 90]);
  const given = decodePng(stripes);

  const strengths = [0.2, 0.6, 1];
  const changed = [];
  for (const strength of strengths)
    changed.push(await draw({ strength, steps: 5 }, { image: stripes }));
  differs(changed[0], changed[1], 'strength counts');
  differs(changed[1], changed[2], 'strength counts');
  const none = await draw({ strength: 0, steps: 5 }, { image: stripes });
  const far = changed.map((picture) => difference(picture, none));
  assert.ok(far[0] < far[2], `the less strength, the closer to what was given: ${far}`);

  // The left half is painted anew.
  const painted = (x) => x < 32;
  const mask = makePng(SIDE, SIDE, (x) => [painted(x) ? 255 : 0]);
  const inpainted = await draw({ strength: 1 }, { image: stripes, mask });
  const kept = (x) => !painted(x);
  assert.equal(difference(inpainted, given, kept), 0, 'outside the mask every pixel is kept');
  assert.ok(difference(inpainted, given, painted) > 1, 'inside it is painted');
  const soft = await draw(
    { strength: 1, extras: { mask_feather: 8 } },
    { image: stripes, mask },
  );
  const inSeam = (x) => Math.abs(x - 32) < 8;
  assert.ok(difference(soft, inpainted, inSeam) > 0, 'the seam fades');
  assert.equal(difference(soft, given, (x) => x >= 56), 0, 'and what is far from it stays');

  const grown = await draw({ strength: 1, extras: { extend: { right: 32 } } }, { image: stripes });
  assert.deepEqual([grown.width, grown.height], [SIDE + 32, SIDE]);
  const wide = decodePng(
    makePng(SIDE + 32, SIDE, (x, y) =>
      [0, 1, 2].map((i) => given.data[(y * SIDE + Math.min(x, SIDE - 1)) * 3 + i]),
    ),
  );
  assert.equal(difference(grown, wide, (x) => x < SIDE), 0, 'what was given is kept');
  assert.ok(difference(grown, wide, (x) => x >= SIDE) > 1, 'what is new is painted');

  const lone = await fail({}, { mask });
  assert.equal(lone.code, 'invalid_argument');
  const large = makePng(2 * SIDE, SIDE, () => [255]);
  const misfit = await fail({}, { image: stripes, mask: large });
  assert.equal(misfit.code, 'invalid_argument');
  assert.match(misfit.message, /64 x 64/);
});

test('second passes, tiles, guidance by steps and the step cache', async (t) => {
  const { draw, fail } = await studio(t);
  const plain = await draw();
  const hires = (more) => draw({ extras: { hires: { scale: 1.5, strength: 0.5, ...more } } });
  const large = await hires();
  assert.deepEqual([large.width, large.height], [1.5 * SIDE, 1.5 * SIDE]);
  differs(await hires({ pixels: true }), large, 'pixels or latents are made larger');
  differs(await hires({ strength: 1 }), large, 'strength counts');

  // A tile is 512 pixels wide.
  const wide = { width: 576, height: 64, steps: 1 };
  const whole = await draw(wide);
  const tiled = await draw({ ...wide, tile_decoder: true });
  const off = difference(tiled, whole);
  assert.ok(off > 0 && off < 8, `tiles differ by ${off}`);

  const guided = (guidance_begin, guidance_end) =>
    draw({ steps: 4, extras: { guidance_begin, guidance_end } });
  const always = await guided(0, 1);
  same(always, await draw({ steps: 4 }), 'guidance is for all steps unless told otherwise');
  const never = await draw({ steps: 4, guidance: 1 });
  same(await guided(0, 0), never, 'for none it is none');
  const early = await guided(0, 0.5);
  differs(early, always, 'for half of them it is something else');
  differs(early, never, 'for half of them it is something else');
  differs(early, await guided(0.5, 1), 'and it counts which half');

  const flux = { model: 'flux', steps: 8 };
  const exact = await draw(flux);
  same(await draw({ ...flux, extras: { step_cache: 0 } }), exact, 'no cache unless told');
  const cached = await draw({ ...flux, extras: { step_cache: 1 } });
  assert.ok(difference(cached, exact) > 0, 'left out blocks are a little off');
  same(await draw(flux), exact, 'and leave nothing behind');

  for (const extras of [{ step_cache: 2 }, { hires: { scale: 9 } }, { guidance_end: -1 }])
    assert.equal((await fail({ extras })).code, 'invalid_argument', JSON.stringify(extras));
  same(await draw(), plain, 'the first picture again');
});

test('several pictures are those of their seeds', async (t) => {
  const { drawAll, draw } = await studio(t);
  const all = (await drawAll({ count: 3, seed: 40 })).map(decodePng);
  assert.equal(all.length, 3);
  for (const [i, picture] of all.entries())
    same(picture, await draw({ seed: 40 + i }), `picture ${i} is that of seed ${40 + i}`);
  differs(all[0], all[1]);
});

// Drawings that take a while; at this size a step of the tiny model takes some 10 ms.
const LONG = { steps: 999, width: 256 };
const underWay = (get, id) =>
  waitFor(
    'steps',
    async () => {
      const { progress } = await get(id);
      return progress.stage === 'drawing' && progress.done > 2;
    },
    { timeout: 60_000 },
  );

test('a cancelled drawing makes room for the next', async (t) => {
  const { daemon, start, inState, end, get, draw } = await studio(t);
  const first = await start(LONG);
  const second = await start({ seed: 2 });
  await underWay(get, first.id);
  const [before] = await daemon.residents();
  await daemon.fetch(`/api/v1/jobs/${first.id}`, { method: 'DELETE' });
  await inState(first.id, 'cancelled');
  const done = await end(second.id);
  assert.equal(done.state, 'completed', JSON.stringify(done.error));
  const [after] = await daemon.residents();
  assert.equal(after.pid, before.pid, 'by the same worker');
  assert.equal((await daemon.get('/api/v1/images')).body.total, 1, 'nothing of what was cancelled');
  await draw();
  assert.equal((await daemon.residents())[0].requests_running, 0);
});

test('a worker that is killed in a drawing is told of and replaced', async (t) => {
  const { daemon, start, end, get, draw } = await studio(t);
  const plain = await draw();
  const job = await start(LONG);
  await underWay(get, job.id);
  const [{ pid }] = await daemon.residents();
  process.kill(pid, 'SIGKILL');
  const done = await end(job.id);
  assert.equal(done.state, 'failed');
  assert.equal(done.error.code, 'worker_crashed', JSON.stringify(done.error));
  assert.match(done.error.message, /SIGKILL/);
  same(await draw(), plain, 'the next picture is drawn');
  assert.notEqual((await daemon.residents())[0].pid, pid);
});

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true }).filter(
        (name) => statSync(join(folder, name)).isFile(),
      )
    : [];

test('a gallery that cannot be written keeps no halves', async (t) => {
  const { home, daemon, fail, draw } = await studio(t);
  const gallery = join(home.path, 'data/gallery');
  rmSync(gallery, { recursive: true, force: true });
  writeFileSync(gallery, 'in the way');
  const error = await fail();
  assert.match(error.code, /^(io_error|permission_denied|conflict|not_found)$/, error.code);
  assert.match(error.message + error.context, /gallery/, 'it says where');
  assert.equal((await daemon.get('/api/v1/images')).body.total, 0);
  rmSync(gallery);
  await draw();
  assert.equal((await daemon.get('/api/v1/images')).body.total, 1, 'it goes on by itself');
  assert.equal(filesBelow(gallery).filter((name) => name.endsWith('.png')).length, 1);
});

test('a disk without room for a picture is told of, and smaller ones are kept', async (t) => {
  // No file may have more than 192 KiB, which a larger picture of noise needs.
  const { home, daemon, fail, draw } = await studio(t, {
    before: ['sh', '-c', 'ulimit -f 384; exec "$@"', 'sh'],
  });
  await draw();
  const gallery = join(home.path, 'data/gallery');
  const before = filesBelow(gallery);
  const error = await fail({ width: 768, height: 128, steps: 1 });
  assert.match(error.code, /^(io_error|disk_full|limit_exceeded)$/, JSON.stringify(error));
  assert.deepEqual(filesBelow(gallery), before, 'nothing is left of it');
  assert.equal((await daemon.get('/api/v1/images')).body.total, 1);
  await draw();
  assert.equal((await daemon.get('/api/v1/images')).body.total, 2);
});
