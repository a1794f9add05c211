// Goal: pictures are written as PNG, JPEG and WebP through every surface, their settings come back
// from the files, and adapters are named in requests. Method: a real daemon with the picture worker
// without a model; the files are looked at byte by byte.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, TOP, ingle, startDaemon } from './harness.mjs';

const KINDS = { png: 'png', jpeg: 'jpg', webp: 'webp' };

function kindOf(bytes) {
  if (bytes.subarray(0, 8).toString('latin1') === '\x89PNG\r\n\x1a\n') return 'png';
  if (bytes.readUInt16BE(0) === 0xffd8) return 'jpeg';
  return bytes.subarray(0, 4).toString() + bytes.subarray(8, 12).toString() === 'RIFFWEBP'
    ? 'webp'
    : 'unknown';
}

// The smallest file that is a LoRA by its header.
function adapterFile() {
  const header = JSON.stringify({
    'lora_unet_x.lora_down.weight': { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
    'lora_unet_x.lora_up.weight': { dtype: 'F32', shape: [2, 2], data_offsets: [16, 32] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(32)]);
}

async function start(t, args = []) {
  const home = new Home();
  cpSync(join(TOP, 'tests/golden/diffusion/full_sd15'), join(home.models, 'sd'), {
    recursive: true,
  });
  writeFileSync(join(home.models, 'moon.safetensors'), adapterFile());
  t.after(() => home.remove());
  const worker = `images.worker=${join(BUILD, 'bin/ingle-fake-diffusion')}`;
  const daemon = await startDaemon(t, { home, models: [], args: ['--set', worker, ...args] });
  return { home, daemon };
}

const settingsOf = async (daemon, bytes) => {
  const response = await daemon.fetch('/api/v1/images/settings', {
    method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream' },
    body: bytes,
  });
  return { status: response.status, body: await response.json() };
};

test('every surface writes every kind of file', async (t) => {
  const { home, daemon } = await start(t);
  for (const [format, extension] of Object.entries(KINDS)) {
    const { status, body, text } = await daemon.post('/v1/images/generations', {
      prompt: 'a hearth',
      size: '64x64',
      seed: 5,
      output_format: format,
      output_compression: 80,
      response_format: 'b64_json',
    });
    assert.equal(status, 200, text);
    assert.equal(body.output_format, format);
    assert.equal(kindOf(Buffer.from(body.data[0].b64_json, 'base64')), format);

    const out = join(home.path, `a.${extension}`);
    const how = ['-o', out, '--seed', '5', '--size', '64'];
    const drawn = await ingle(home, ['image', 'a hearth', ...how]);
    assert.equal(drawn.code, 0, drawn.stderr);
    const file = readFileSync(out);
    assert.equal(kindOf(file), format);
    const found = await settingsOf(daemon, file);
    assert.equal(found.status, 200, JSON.stringify(found.body));
    assert.equal(found.body.origin, 'ingle');
    assert.deepEqual(
      [found.body.request.prompt, found.body.request.seed, found.body.request.width],
      ['a hearth', 5, 64],
    );

    const sd = await daemon.post('/sdapi/v1/txt2img', {
      prompt: 'x',
      override_settings: { samples_format: extension },
    });
    assert.equal(kindOf(Buffer.from(sd.body.images[0], 'base64')), format);
  }
  const [newest] = (await daemon.get('/api/v1/images?count=1')).body.images;
  assert.match(newest.file, /\.webp$/);
  assert.equal(newest.request, undefined, 'lists stay short');
  const served = await daemon.fetch(`/api/v1/images/${newest.id}/file`);
  assert.equal(served.headers.get('content-type'), 'image/webp');
  const bad = await daemon.post('/v1/images/generations', { prompt: 'x', output_format: 'gif' });
  assert.equal(bad.status, 400);
  const named = await ingle(home, ['image', 'x', '-o', join(home.path, 'a.gif')]);
  assert.equal(named.code, 1);
  assert.match(named.stderr, /\.webp/);
});

test('the gallery has a kind of its own', async (t) => {
  const { home, daemon } = await start(
    t,
    '--set images.format=webp --set images.quality=100'.split(' '),
  );
  const { body } = await daemon.post('/v1/images/generations', { prompt: 'x' });
  assert.equal(body.output_format, 'webp');
  const bytes = Buffer.from(await (await fetch(body.data[0].url)).arrayBuffer());
  assert.equal(kindOf(bytes), 'webp');
  assert.ok(bytes.includes('VP8L'), 'without loss');
  const png = join(home.path, 'p.png');
  assert.equal((await ingle(home, ['image', 'x', '-o', png])).code, 0);
  assert.equal(kindOf(readFileSync(png)), 'png');
});

test('a picture is drawn again from its file', async (t) => {
  const { home, daemon } = await start(t);
  const first = join(home.path, 'first.png');
  const again = join(home.path, 'again.png');
  const draw = (...args) => ingle(home, ['image', ...args]);
  const how = '--seed 11 --size 64x32 --steps 3'.split(' ');
  const drawn = await draw('a hearth', '-o', first, ...how);
  assert.equal(drawn.code, 0, drawn.stderr);
  const followed = await draw('--like', first, '-o', again);
  assert.equal(followed.code, 0, followed.stderr);
  assert.match(followed.stdout, /seed 11/);
  const pixels = (file) => readFileSync(file).subarray(readFileSync(file).indexOf('IDAT'));
  assert.deepEqual(pixels(again), pixels(first));
  await draw('a lamp', '--like', first, '-o', again);
  assert.notDeepEqual(pixels(again), pixels(first));

  // As another program wrote it: what is not here is said.
  const text =
    'a cat\nSteps: 3, Sampler: Euler, Seed: 4, Size: 64x32, Model: elsewhere, Version: v1';
  const chunk = Buffer.from(`tEXtparameters\0${text}`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(chunk.length - 4);
  const png = readFileSync(first);
  const head = png.subarray(0, 33); // the signature and IHDR
  const other = join(home.path, 'other.png');
  writeFileSync(other, Buffer.concat([head, length, chunk, Buffer.alloc(4), png.subarray(-12)]));
  const cat = await draw('--like', other, '-o', again);
  assert.equal(cat.code, 0, cat.stderr);
  assert.match(cat.stderr, /elsewhere/);
  const [kept] = (await daemon.get('/api/v1/images?count=1')).body.images;
  assert.deepEqual([kept.prompt, kept.seed, kept.width], ['a cat', 4, 64]);

  writeFileSync(other, 'no picture');
  assert.equal((await draw('--like', other)).code, 1);
  const { body } = await settingsOf(daemon, Buffer.from('no picture'));
  assert.equal(body.error.code, 'unsupported');
  assert.equal((await draw()).code, 2, 'neither a prompt nor a file');
});

test('adapters are named in prompts and arguments', async (t) => {
  const { home, daemon } = await start(t);
  const loras = (await daemon.get('/sdapi/v1/loras')).body;
  assert.deepEqual(loras.map(({ name }) => name), ['moon']);
  const drawn = await daemon.post('/sdapi/v1/txt2img', { prompt: 'a cat <lora:moon:0.5>' });
  assert.equal(drawn.status, 200, drawn.text);
  assert.match(JSON.parse(drawn.body.info).infotexts[0], /^a cat <lora:moon:0\.5>\n/);
  const [kept] = (await daemon.get('/api/v1/images?count=1')).body.images;
  assert.equal(kept.prompt, 'a cat');
  const whole = (await daemon.get(`/api/v1/images/${kept.id}`)).body;
  assert.deepEqual(whole.request.adapters, [{ model: 'moon', weight: 0.5 }]);

  const unknown = await daemon.post('/sdapi/v1/txt2img', { prompt: 'a cat <lora:sun:1>' });
  assert.equal(unknown.status, 404, unknown.text);
  assert.match(unknown.body.detail, /'sun'.*moon/);
  const wrong = await ingle(home, ['image', 'x', '--lora', 'sd:0.5']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /no adapter.*moon/);
});

test('a picture is shown as letters', async (t) => {
  const { home } = await start(t);
  const out = join(home.path, 'a.webp');
  const shown = await ingle(home, ['image', 'x', '-o', out, '--size', '32', '--show', 'blocks']);
  assert.equal(shown.code, 0, shown.stderr);
  const lines = shown.stdout.split('\n').filter((line) => line.includes('▀'));
  assert.equal(lines.length, 16);
  assert.ok(lines.every((line) => line.split('▀').length === 33));
  const plain = await ingle(home, ['image', 'x', '-o', out, '--size', '32']);
  assert.ok(!plain.stdout.includes('\x1b'), 'nothing but text where there is no terminal');
});
