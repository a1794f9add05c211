// Goal: the npm client `openai` draws and edits pictures, streams them, and gets its errors.
// Method: the client against a daemon whose picture worker has no model.
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import OpenAI, { toFile } from 'openai';

import { BUILD, Home, TOP, startDaemon } from '../e2e/harness.mjs';
import { all } from './client.mjs';

const PNG = Buffer.from('89504e470d0a1a0a', 'hex');
const isPng = (base64) => Buffer.from(base64, 'base64').subarray(0, 8).equals(PNG);

test('images', async (t) => {
  const home = new Home();
  cpSync(join(TOP, 'tests/golden/diffusion/full_sd15'), join(home.models, 'sd'), {
    recursive: true,
  });
  home.add('tiny');
  const daemon = await startDaemon(t, {
    home,
    args: ['--set', `images.worker=${join(BUILD, 'bin/ingle-fake-diffusion')}`],
  });
  t.after(() => home.remove());
  const client = new OpenAI({ baseURL: `${daemon.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const generate = (more = {}) =>
    client.images.generate({ model: 'sd', prompt: 'a hearth', size: '64x64', ...more });

  await t.test('by url and as base64', async () => {
    const whole = await generate({ n: 2, response_format: 'b64_json', seed: 4 });
    assert.equal(whole.data.length, 2);
    assert.ok(whole.data.every(({ b64_json }) => isPng(b64_json)));
    assert.ok(whole.created > 0);
    const { data } = await generate({ seed: 4 });
    const response = await fetch(data[0].url);
    assert.equal(response.headers.get('content-type'), 'image/png');
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.equal(bytes.readUInt32BE(16), 64);
  });

  await t.test('streamed with partial pictures', async () => {
    const events = await all(
      await generate({ stream: true, partial_images: 2, prompt: 'slow', steps: 12 }),
    );
    const types = events.map(({ type }) => type);
    assert.equal(types.at(-1), 'image_generation.completed');
    assert.ok(isPng(events.at(-1).b64_json));
    assert.equal(events.at(-1).size, '64x64');
    const partial = events.filter(({ type }) => type === 'image_generation.partial_image');
    assert.ok(partial.length >= 1 && partial.length <= 2, types.join());
    assert.equal(partial[0].partial_image_index, 0);
  });

  await t.test('edits take files', async () => {
    const { data } = await generate({ response_format: 'b64_json' });
    const image = await toFile(Buffer.from(data[0].b64_json, 'base64'), 'a.png', {
      type: 'image/png',
    });
    const edited = await client.images.edit({
      model: 'sd',
      image,
      prompt: 'a cold hearth',
      response_format: 'b64_json',
    });
    assert.ok(isPng(edited.data[0].b64_json));
    assert.notEqual(edited.data[0].b64_json, data[0].b64_json);
  });

  await t.test('what is wrong is an error of its kind', async () => {
    for (const bad of [{ size: 'large' }, { n: 0 }, { prompt: '' }, { model: 'tiny' }])
      await assert.rejects(generate(bad), OpenAI.BadRequestError, JSON.stringify(bad));
    await assert.rejects(generate({ model: 'nobody' }), OpenAI.NotFoundError);
    await assert.rejects(generate({ response_format: 'jpeg' }), OpenAI.BadRequestError);
  });
});
