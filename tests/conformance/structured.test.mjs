// Goal: tools and structured output bind the model, or the request is refused: never an
// unconstrained 200. Method: the npm client `openai`; the sample models have random weights, so
// whatever fits a schema fits because it was made to.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { FIRE, SHORT_SCHEMA, all, ask, connect, fitsShortSchema } from './client.mjs';

const tool = (name) => ({
  type: 'function',
  function: { name, description: 'Lights the hearth.', parameters: SHORT_SCHEMA },
});
const TOOLS = [tool('light_hearth'), tool('put_out')];
const schema = (value, more = {}) => ({
  type: 'json_schema',
  json_schema: { name: 'answer', strict: true, schema: value, ...more },
});

test('structured', async (t) => {
  const { client } = await connect(t);
  const create = (more) => client.chat.completions.create(ask({ max_tokens: 200, ...more }));

  await t.test('a tool that must be called is called, with arguments that fit', async () => {
    for (const choice of ['required', { type: 'function', function: { name: 'put_out' } }]) {
      const { choices } = await create({ tools: TOOLS, tool_choice: choice });
      const [{ message, finish_reason: finish }] = choices;
      assert.equal(finish, 'tool_calls');
      assert.ok(message.tool_calls.length >= 1);
      for (const call of message.tool_calls) {
        assert.equal(call.type, 'function');
        assert.match(call.id, /\S/);
        assert.ok(fitsShortSchema(call.function.arguments), call.function.arguments);
        if (typeof choice === 'object') assert.equal(call.function.name, 'put_out');
      }
    }
  });

  await t.test('a call comes in pieces that add up', async () => {
    const stream = client.chat.completions.stream(
      ask({ max_tokens: 200, tools: TOOLS, tool_choice: 'required' }),
    );
    const final = await stream.finalChatCompletion();
    const [call] = final.choices[0].message.tool_calls;
    assert.match(call.id, /\S/);
    assert.ok(['light_hearth', 'put_out'].includes(call.function.name));
    assert.ok(fitsShortSchema(call.function.arguments));
    assert.equal(final.choices[0].finish_reason, 'tool_calls');
  });

  await t.test('none means none, auto is taken, parallel calls can be turned off', async () => {
    const none = await create({ tools: TOOLS, tool_choice: 'none', max_tokens: 30 });
    assert.equal(none.choices[0].message.tool_calls, undefined);
    assert.ok(none.choices[0].message.content.length > 0);
    assert.equal(
      (await create({ tools: TOOLS, tool_choice: 'auto', max_tokens: 30 })).choices.length,
      1,
    );
    const one = await create({ tools: TOOLS, tool_choice: 'required', parallel_tool_calls: false });
    assert.equal(one.choices[0].message.tool_calls.length, 1);
    const many = await create({ tools: TOOLS, tool_choice: 'required', parallel_tool_calls: true });
    const ids = many.choices[0].message.tool_calls.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  await t.test('results go back', async () => {
    const { choices } = await create({ tools: TOOLS, tool_choice: 'required' });
    const { message } = choices[0];
    const results = message.tool_calls.map(({ id }) => ({
      role: 'tool',
      tool_call_id: id,
      content: '{"warm":true}',
    }));
    const answer = await create({
      messages: [...FIRE, message, ...results],
      tools: TOOLS,
      tool_choice: 'none',
      max_tokens: 20,
    });
    assert.ok(answer.choices[0].message.content.length > 0);
    const without = await create({ messages: [...FIRE, message, ...results], max_tokens: 20 });
    assert.ok(without.choices[0].message.content.length > 0);
  });

  await t.test('tools that are wrong are refused', async () => {
    const named = (name) => ({ type: 'function', function: { name } });
    const cases = [
      { tools: [{ type: 'function' }] },
      { tools: [{ type: 'magic', function: { name: 'x' } }] },
      { tools: [tool('no spaces allowed')] },
      { tools: [tool('twice'), tool('twice')] },
      { tools: 'all' },
      { tools: TOOLS, tool_choice: 'always' },
      { tools: TOOLS, tool_choice: named('unknown') },
      { tools: [], tool_choice: 'required' },
      { tool_choice: 'required' },
      {
        tools: [{ type: 'function', function: { name: 'x', parameters: { type: 'banana' } } }],
        tool_choice: 'required',
      },
    ];
    for (const body of cases)
      await assert.rejects(create(body), OpenAI.BadRequestError, JSON.stringify(body));
  });

  await t.test('json_schema: the answer fits, whole and streamed', async () => {
    const whole = await create({ response_format: schema(SHORT_SCHEMA) });
    assert.ok(fitsShortSchema(whole.choices[0].message.content), whole.choices[0].message.content);
    assert.equal(whole.choices[0].finish_reason, 'stop');
    const chunks = await all(
      await create({ response_format: schema(SHORT_SCHEMA), stream: true, temperature: 1 }),
    );
    assert.ok(
      fitsShortSchema(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')),
    );
    const constant = await create({ response_format: schema({ const: 'ember' }) });
    assert.equal(JSON.parse(constant.choices[0].message.content), 'ember');
  });

  await t.test('json_object: an object, or the beginning of one', async () => {
    for (const seed of [1, 2, 3]) {
      const { choices } = await create({
        response_format: { type: 'json_object' },
        temperature: 1,
        seed,
        max_tokens: 60,
      });
      const text = choices[0].message.content;
      assert.match(text, /^\s*\{/);
      if (choices[0].finish_reason === 'stop') assert.equal(typeof JSON.parse(text), 'object');
    }
  });

  await t.test('a schema that cannot be kept is refused', async () => {
    const formats = [
      schema({ type: 'banana' }),
      schema({ type: 'object', properties: { a: { $ref: '#/nowhere' } } }),
      schema({ $ref: 'https://example.com/schema.json' }),
      schema({ enum: [] }),
      schema({ type: 'string', pattern: '([' }),
      schema('object'),
      schema(undefined),
      schema({ type: 'array', minItems: 3, maxItems: 1, items: { type: 'boolean' } }),
      schema({ type: 'integer', minimum: 3, maximum: 1 }),
      schema(false),
      schema({ type: 'object', properties: {}, required: ['b'], additionalProperties: false }),
      { type: 'json_schema' },
      { type: 'yaml' },
      'json',
    ];
    for (const format of formats) {
      const error = await create({ response_format: format, max_tokens: 20 }).then(
        ({ choices }) => assert.fail(`${JSON.stringify(format)}: ${choices[0].message.content}`),
        (caught) => caught,
      );
      assert.ok(error instanceof OpenAI.BadRequestError, `${JSON.stringify(format)}: ${error}`);
      assert.match(error.message, /\S/);
    }
  });
});
