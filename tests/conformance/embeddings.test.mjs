// Goal: embeddings and legacy completions mean what the npm client `openai` expects. Method: the
// client against a daemon with an embedding model and a text model with random weights.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { all, connect } from './client.mjs';

const close = (a, b) =>
  a.length === b.length && a.every((value, i) => Math.abs(value - b[i]) < 1e-4);

test('embeddings', async (t) => {
  const { daemon, client } = await connect(t);
  const embed = (input, more = {}) =>
    client.embeddings.create({ model: 'embedding', input, encoding_format: 'float', ...more });

  await t.test('one text', async () => {
    const answer = await embed('warm');
    assert.equal(answer.object, 'list');
    assert.equal(answer.model, 'embedding');
    assert.equal(answer.data.length, 1);
    assert.equal(answer.data[0].object, 'embedding');
    assert.equal(answer.data[0].index, 0);
    const { models } = (await daemon.get('/api/v1/models')).body;
    const { embedding_length: width } = models.find(({ id }) => id === 'embedding');
    assert.equal(answer.data[0].embedding.length, width);
    const norm = Math.hypot(...answer.data[0].embedding);
    assert.ok(Math.abs(norm - 1) < 1e-3, `norm ${norm}`);
    assert.ok(answer.usage.prompt_tokens > 0);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens);
  });

  await t.test('base64 holds the same floats', async () => {
    const float = (await embed('warm')).data[0].embedding;
    const { data } = await embed('warm', { encoding_format: 'base64' });
    assert.equal(typeof data[0].embedding, 'string');
    const bytes = Buffer.from(data[0].embedding, 'base64');
    const floats = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
    assert.ok(close(floats, float));
    // Without a format the client asks for base64 and decodes it.
    const plain = await client.embeddings.create({ model: 'embedding', input: 'warm' });
    assert.ok(close(plain.data[0].embedding, float));
  });

  await t.test('batches keep their order', async () => {
    const texts = ['warm', 'cold', 'a longer sentence about a hearth', 'warm'];
    const { data } = await embed(texts);
    assert.deepEqual(
      data.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.ok(close(data[0].embedding, data[3].embedding));
    assert.ok(!close(data[0].embedding, data[1].embedding));
    assert.ok(close(data[1].embedding, (await embed('cold')).data[0].embedding));
  });

  await t.test('tokens instead of text', async () => {
    const one = await embed([10, 20, 30]);
    assert.equal(one.data.length, 1);
    const two = await embed([[10, 20, 30], [40]]);
    assert.equal(two.data.length, 2);
    assert.ok(close(one.data[0].embedding, two.data[0].embedding));
  });

  await t.test('fewer dimensions are the first ones, of length one again', async () => {
    const whole = (await embed('warm')).data[0].embedding;
    const short = (await embed('warm', { dimensions: 7 })).data[0].embedding;
    assert.equal(short.length, 7);
    assert.ok(Math.abs(Math.hypot(...short) - 1) < 1e-3);
    assert.ok(Math.abs(short[1] / short[0] - whole[1] / whole[0]) < 1e-3);
  });

  await t.test('what is wrong is 400', async () => {
    for (const input of [undefined, [], '', [''], [[]], 5, { a: 1 }, ['x', 5], [1.5], [-1], [1e9]])
      await assert.rejects(embed(input), OpenAI.BadRequestError, JSON.stringify(input));
    await assert.rejects(embed('x', { encoding_format: 'hex' }), OpenAI.BadRequestError);
    await assert.rejects(embed('x', { dimensions: 100_000 }), OpenAI.BadRequestError);
  });
});

test('completions', async (t) => {
  const { client } = await connect(t);
  const create = (more) =>
    client.completions.create({
      model: 'tiny',
      prompt: 'Once upon a time',
      max_tokens: 12,
      temperature: 0,
      ...more,
    });

  await t.test('whole and streamed', async () => {
    const whole = await create();
    assert.equal(whole.object, 'text_completion');
    assert.equal(whole.model, 'tiny');
    assert.ok(whole.choices[0].text.length > 0);
    assert.equal(whole.choices[0].finish_reason, 'length');
    assert.equal(whole.usage.completion_tokens, 12);
    const chunks = await all(
      await create({ stream: true, stream_options: { include_usage: true } }),
    );
    assert.equal(
      chunks.map(({ choices }) => choices[0]?.text ?? '').join(''),
      whole.choices[0].text,
    );
    assert.equal(chunks.at(-1).usage.completion_tokens, 12);
  });

  await t.test('tokens and batches as prompts, stop, echo', async () => {
    assert.ok((await create({ prompt: [10, 20, 30] })).choices[0].text.length > 0);
    const many = await create({ prompt: ['Once', 'Twice'] });
    assert.deepEqual(
      many.choices.map(({ index }) => index),
      [0, 1],
    );
    const free = (await create()).choices[0].text;
    const stopped = await create({ stop: free.slice(4, 10) });
    assert.equal(stopped.choices[0].text, free.slice(0, 4));
    assert.equal(stopped.choices[0].finish_reason, 'stop');
  });

  await t.test('what is wrong is 400', async () => {
    for (const prompt of [undefined, {}, 5, [[]], [{}], ['x', 5], [-1]])
      await assert.rejects(create({ prompt }), OpenAI.BadRequestError, JSON.stringify(prompt));
  });
});
