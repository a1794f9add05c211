// Goal: what a caller did wrong comes back as the client's own typed errors, with a message that
// helps; never as 500. Method: each malformed request by name, through the npm client `openai`.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { ask, connect } from './client.mjs';

const user = { role: 'user', content: 'Hello.' };
const call = (more) => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' }, ...more }],
});

const MALFORMED = {
  'no messages': [],
  'messages as text': 'hello',
  'a message as text': ['hello'],
  'an unknown role': [{ role: 'wizard', content: 'x' }],
  'no role': [{ content: 'x' }],
  'content as a number': [{ role: 'user', content: 5 }],
  'content as an object': [{ role: 'user', content: { text: 'x' } }],
  'no content': [{ role: 'user' }],
  'content null of a user': [{ role: 'user', content: null }],
  'an unknown part': [{ role: 'user', content: [{ type: 'smell', smell: 'smoke' }] }],
  'a part without text': [{ role: 'user', content: [{ type: 'text' }] }],
  'an assistant without content and calls': [user, { role: 'assistant' }, user],
  'arguments that are not JSON': [
    user,
    call({ function: { name: 'f', arguments: '{"a":' } }),
    { role: 'tool', tool_call_id: 'c1', content: 'x' },
  ],
  'arguments that are no object': [
    user,
    call({ function: { name: 'f', arguments: '[1]' } }),
    { role: 'tool', tool_call_id: 'c1', content: 'x' },
  ],
  'arguments as an object': [
    user,
    call({ function: { name: 'f', arguments: { a: 1 } } }),
    { role: 'tool', tool_call_id: 'c1', content: 'x' },
  ],
  'a call without a function': [user, { ...call(), tool_calls: [{ id: 'c1', type: 'function' }] }],
  'a call without an id': [user, call({ id: undefined })],
  'a tool result without an id': [user, call(), { role: 'tool', content: 'x' }],
  'a tool result for no call': [user, { role: 'tool', tool_call_id: 'c9', content: 'x' }],
  'tool_calls as text': [user, { role: 'assistant', content: 'x', tool_calls: 'f()' }],
};

const WRONG = {
  'temperature as text': { temperature: 'hot' },
  'temperature out of range': { temperature: -1 },
  'top_p out of range': { top_p: 2 },
  'max_tokens negative': { max_tokens: -5 },
  'max_tokens as text': { max_tokens: 'many' },
  'stop as a number': { stop: 5 },
  'stop of numbers': { stop: [5] },
  'seed as text': { seed: 'x' },
  'stream as text': { stream: 'yes' },
  'logit_bias as a list': { logit_bias: [1, 2] },
  'logit_bias out of range': { logit_bias: { 5: 1000 } },
  'logit_bias of a word': { logit_bias: { fire: 1 } },
  'frequency_penalty as text': { frequency_penalty: 'x' },
  'stream_options without a stream': { stream_options: { include_usage: true } },
  'model as a number': { model: 5 },
  'no model': { model: undefined },
  'an empty model': { model: '' },
};

test('errors', async (t) => {
  const { daemon, client } = await connect(t);
  const refusal = (body) =>
    client.chat.completions.create(body).then(
      (answer) => assert.fail(`answered: ${JSON.stringify(answer)}`),
      (error) => error,
    );
  const isBadRequest = (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, /\S/);
    assert.match(error.requestID, /\S/);
  };

  await t.test('an unknown model is 404 with near names', async () => {
    for (const body of [ask({ model: 'tinny' }), ask({ model: 'tinny', stream: true })]) {
      const error = await refusal(body);
      assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
      assert.equal(error.code, 'model_not_found');
      assert.match(error.message, /\btiny\b/);
    }
    const embeddings = client.embeddings.create({ model: 'embeddding', input: 'x' });
    await assert.rejects(embeddings, OpenAI.NotFoundError);
  });

  for (const [name, messages] of Object.entries(MALFORMED))
    await t.test(`history: ${name}`, async () => {
      isBadRequest(await refusal(ask({ messages })));
    });
  for (const [name, more] of Object.entries(WRONG))
    await t.test(`parameter: ${name}`, async () => {
      isBadRequest(await refusal(ask(more)));
    });

  await t.test('a body that is not JSON, or not an object', async () => {
    for (const body of [
      '{',
      '',
      'null',
      '[]',
      '"x"',
      '{"model":"tiny","model":"tiny"}',
      '{"a":1}x',
    ]) {
      const answer = await daemon.fetch('/v1/chat/completions', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json' },
      });
      assert.equal(answer.status, 400, body);
      assert.equal((await answer.json()).error.type, 'invalid_request_error');
    }
    const bytes = Buffer.from(
      '{"model":"tiny","messages":[{"role":"user","content":"\xff\xfe"}]}',
      'latin1',
    );
    const answer = await daemon.fetch('/v1/chat/completions', {
      method: 'POST',
      body: bytes,
      headers: { 'Content-Type': 'application/json' },
    });
    assert.equal(answer.status, 400, 'bytes that are not UTF-8');
  });

  await t.test('a prompt longer than the context is 400 and says so', async () => {
    const content = 'the hearth is warm and the night is long '.repeat(20_000);
    const error = await refusal(ask({ messages: [{ role: 'user', content }] }));
    isBadRequest(error);
    assert.match(error.message, /context/);
  });

  await t.test('a model of the wrong kind is 400 and says what it is', async () => {
    const chatted = await refusal(ask({ model: 'embedding' }));
    isBadRequest(chatted);
    assert.match(chatted.message, /embedding/);
    await assert.rejects(
      client.embeddings.create({ model: 'tiny', input: 'x' }),
      OpenAI.BadRequestError,
    );
  });

  await t.test('after all that the daemon still answers', async () => {
    assert.equal((await client.chat.completions.create(ask())).choices.length, 1);
    const crashes = daemon.records().filter(({ event }) => event === 'worker_crashed');
    assert.deepEqual(crashes, []);
  });
});
