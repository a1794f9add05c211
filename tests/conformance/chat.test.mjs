// Goal: chat completions mean what the npm client `openai` expects: whole and streamed, usage,
// sampling, logprobs, choices, stops, abort, concurrency. Method: the client against a daemon with
// sample models; greedy sampling where texts are compared.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { waitFor } from '../e2e/harness.mjs';
import { FIRE, MODELS, all, ask, connect } from './client.mjs';

const textOf = (chunks) => chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');

test('chat', async (t) => {
  const { daemon, client } = await connect(t);

  await t.test('models: list and retrieve', async () => {
    const models = await all(await client.models.list());
    assert.deepEqual(models.map(({ id }) => id).sort(), MODELS.toSorted());
    for (const model of models) {
      assert.equal(model.object, 'model');
      assert.equal(typeof model.created, 'number');
      assert.match(model.owned_by, /\S/);
    }
    assert.equal((await client.models.retrieve('tiny')).id, 'tiny');
    await assert.rejects(client.models.retrieve('tinny'), OpenAI.NotFoundError);
  });

  await t.test('a whole answer', async () => {
    const answer = await client.chat.completions.create(ask());
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.model, 'tiny');
    assert.match(answer.id, /^chatcmpl-/);
    assert.ok(Math.abs(answer.created - Date.now() / 1000) < 300);
    assert.match(answer._request_id, /\S/);
    assert.equal(answer.choices.length, 1);
    const [{ index, message, finish_reason: finish }] = answer.choices;
    assert.equal(index, 0);
    assert.equal(message.role, 'assistant');
    assert.ok(message.content.length > 0);
    assert.equal(finish, 'length');
    const { usage } = answer;
    assert.equal(usage.completion_tokens, 24);
    assert.ok(usage.prompt_tokens > 0);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  });

  await t.test('a stream says the same, with usage when asked', async () => {
    const whole = await client.chat.completions.create(ask());
    const chunks = await all(
      await client.chat.completions.create(
        ask({ stream: true, stream_options: { include_usage: true } }),
      ),
    );
    assert.equal(textOf(chunks), whole.choices[0].message.content);
    assert.ok(chunks.length > 10, 'it comes in pieces');
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    for (const { object, model } of chunks) {
      assert.equal(object, 'chat.completion.chunk');
      assert.equal(model, 'tiny');
    }
    const last = chunks.at(-1);
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
    assert.equal(last.usage.prompt_tokens, whole.usage.prompt_tokens);
    const finishes = chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean);
    assert.deepEqual(finishes, ['length']);
    const plain = await all(await client.chat.completions.create(ask({ stream: true })));
    assert.ok(plain.every(({ usage }) => !usage));
    assert.ok(plain.every(({ choices }) => choices.length === 1));
  });

  await t.test("the client's own accumulation of a stream", async () => {
    const stream = client.chat.completions.stream(ask());
    const final = await stream.finalChatCompletion();
    assert.ok(final.choices[0].message.content.length > 0);
    assert.equal(final.choices[0].finish_reason, 'length');
  });

  await t.test('max_completion_tokens is max_tokens', async () => {
    const body = ask({ max_completion_tokens: 5, max_tokens: undefined });
    assert.equal((await client.chat.completions.create(body)).usage.completion_tokens, 5);
  });

  await t.test('content in parts, system and developer roles', async () => {
    const parts = [
      { role: 'system', content: 'You are a hearth.' },
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Tell me ' },
          { type: 'text', text: 'of fire.' },
        ],
      },
    ];
    const answer = await client.chat.completions.create(ask({ messages: parts }));
    assert.ok(answer.choices[0].message.content.length > 0);
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    await assert.rejects(
      client.chat.completions.create(ask({ messages: [{ role: 'user', content: [picture] }] })),
      OpenAI.BadRequestError,
    );
  });

  await t.test('a seed makes it the same again, another one does not', async () => {
    const body = (seed) => ask({ temperature: 1, seed });
    const texts = [];
    for (const seed of [7, 7, 8])
      texts.push((await client.chat.completions.create(body(seed))).choices[0].message.content);
    assert.equal(texts[0], texts[1]);
    assert.notEqual(texts[0], texts[2]);
  });

  await t.test('stop ends the text before the word', async () => {
    const free = (await client.chat.completions.create(ask())).choices[0].message.content;
    const word = free
      .trim()
      .split(/\s+/)
      .find((candidate, i) => i >= 3 && candidate.length > 1);
    const before = free.slice(0, free.indexOf(` ${word}`));
    for (const stop of [` ${word}`, ['never said', ` ${word}`]]) {
      const { choices } = await client.chat.completions.create(ask({ stop }));
      assert.equal(choices[0].message.content, before);
      assert.equal(choices[0].finish_reason, 'stop');
      const chunks = await all(await client.chat.completions.create(ask({ stop, stream: true })));
      assert.equal(textOf(chunks), before);
    }
  });

  await t.test('logit_bias forbids and forces', async () => {
    const forced = await client.chat.completions.create(
      ask({ logit_bias: { 300: 100 }, logprobs: true, max_tokens: 6 }),
    );
    const tokens = forced.choices[0].logprobs.content.map(({ token }) => token);
    assert.equal(new Set(tokens).size, 1, JSON.stringify(tokens));
    const both = await client.chat.completions.create(
      ask({ logit_bias: { 300: 100, 301: 100 }, logprobs: true, max_tokens: 6 }),
    );
    const forbidden = await client.chat.completions.create(
      ask({ logit_bias: { 300: -100, 301: 100 }, logprobs: true, max_tokens: 6 }),
    );
    assert.ok(both.choices[0].logprobs.content.length > 0);
    for (const { token } of forbidden.choices[0].logprobs.content)
      assert.notEqual(token, tokens[0]);
  });

  await t.test('logprobs', async () => {
    const { choices } = await client.chat.completions.create(
      ask({ logprobs: true, top_logprobs: 3, max_tokens: 5 }),
    );
    const { content } = choices[0].logprobs;
    assert.equal(content.length, 5);
    assert.equal(content.map(({ token }) => token).join(''), choices[0].message.content);
    for (const { token, logprob, bytes, top_logprobs: top } of content) {
      assert.ok(logprob <= 0);
      assert.equal(Buffer.from(bytes).toString(), token);
      assert.equal(top.length, 3);
      assert.ok(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
    }
    const chunks = await all(
      await client.chat.completions.create(ask({ logprobs: true, max_tokens: 5, stream: true })),
    );
    const streamed = chunks.flatMap(({ choices: [choice] }) => choice?.logprobs?.content ?? []);
    assert.equal(streamed.length, 5);
    for (const bad of [{ top_logprobs: 3 }, { logprobs: true, top_logprobs: 50 }])
      await assert.rejects(client.chat.completions.create(ask(bad)), OpenAI.BadRequestError);
  });

  await t.test('n choices, whole and streamed', async () => {
    const body = ask({ n: 3, temperature: 1, seed: 3, max_tokens: 8 });
    const whole = await client.chat.completions.create(body);
    assert.deepEqual(whole.choices.map(({ index }) => index).sort(), [0, 1, 2]);
    assert.ok(whole.choices.every(({ message }) => message.content.length > 0));
    assert.ok(new Set(whole.choices.map(({ message }) => message.content)).size > 1);
    assert.equal(whole.usage.completion_tokens, 24);
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = await all(await client.chat.completions.create({ ...body, ...options }));
    const finished = chunks
      .flatMap(({ choices }) => choices)
      .filter(({ finish_reason: finish }) => finish)
      .map(({ index }) => index);
    assert.deepEqual(finished.sort(), [0, 1, 2]);
    assert.equal(chunks.at(-1).usage.completion_tokens, 24);
    for (const n of [0, -1, 1000])
      await assert.rejects(client.chat.completions.create(ask({ n })), OpenAI.BadRequestError);
  });

  await t.test('abort ends the generation', async () => {
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      ask({ model: 'slow', stream: true, max_tokens: 4000, ignore_eos: true }),
      { signal: controller.signal },
    );
    let seen = 0;
    const running = async () =>
      (await daemon.residents()).find(({ id }) => id === 'slow')?.requests_running;
    try {
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content && ++seen === 3) {
          assert.equal(await running(), 1);
          controller.abort();
        }
      }
    } catch (error) {
      assert.ok(error instanceof OpenAI.APIUserAbortError, error);
    }
    assert.equal(seen >= 3, true);
    await waitFor('the worker to be free', async () => (await running()) === 0);
  });

  await t.test('many at once', async () => {
    const bodies = Array.from({ length: 16 }, (_, i) =>
      ask({ stream: true, max_tokens: 40, messages: [{ role: 'user', content: `Story ${i}` }] }),
    );
    const streams = await Promise.all(
      bodies.map(async (body) => all(await client.chat.completions.create(body))),
    );
    for (const chunks of streams) {
      assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
      assert.ok(chunks.some(({ choices }) => choices[0]?.finish_reason));
      assert.ok(textOf(chunks).length > 0);
    }
    assert.equal(new Set(streams.map((chunks) => chunks[0].id)).size, 16);
  });

  await t.test('reasoning members are taken', async () => {
    const body = ask({ reasoning_effort: 'low' });
    assert.equal((await client.chat.completions.create(body)).choices.length, 1);
    const history = [
      ...FIRE,
      { role: 'assistant', content: 'It is warm.', reasoning_content: 'They ask of fire.' },
      { role: 'user', content: 'And then?' },
    ];
    assert.equal(
      (await client.chat.completions.create(ask({ messages: history }))).choices.length,
      1,
    );
  });
});
