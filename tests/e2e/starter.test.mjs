// Goal: a fresh machine answers sensibly: the starter models are there in an empty home, are
// listed as what they are, and what the text model says of ingle is true of ingle as built, so
// that a changed command line that makes it lie is noticed. Method: the models as shipped, through
// the daemon, on questions that their training never saw.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { facts_of } from '../../starter/text/facts.mjs';
import { holds, lies_finder } from '../../starter/text/truth.mjs';
import { INGLE, TOP, WITH_STARTERS, ingle, startDaemon } from './harness.mjs';

const { facts: questions, json: objects } = JSON.parse(
  readFileSync(join(TOP, 'starter/text/questions.json'), 'utf8'),
);

const WEATHER = { name: 'get_weather', description: 'Weather of a city' };

const ask = async (daemon, content, more = {}) => {
  const { status, body, text } = await daemon.post('/v1/chat/completions', {
    model: 'starter',
    temperature: 0,
    max_tokens: 160,
    messages: [{ role: 'user', content }],
    ...more,
  });
  assert.equal(status, 200, text);
  return body.choices[0].message;
};

test('25 questions about ingle are answered with the fact, and with nothing untrue', async (t) => {
  const daemon = await startDaemon(t, WITH_STARTERS);
  const lies_in = lies_finder(facts_of(INGLE));
  const missed = [];
  for (const { question, must } of questions.filter((_, i) => i % 8 === 0).slice(0, 25)) {
    const { content } = await ask(daemon, question);
    assert.deepEqual(lies_in(content), [], `'${question}' is answered '${content}'`);
    if (!holds(content, must)) missed.push({ question, must, content });
  }
  assert.ok(missed.length <= 2, JSON.stringify(missed, null, 1));
});

test('JSON without a grammar, and a tool that is offered', async (t) => {
  const daemon = await startDaemon(t, WITH_STARTERS);
  const failed = [];
  for (const { question } of objects.slice(0, 20)) {
    const { content } = await ask(daemon, question);
    try {
      assert.equal(typeof JSON.parse(content), 'object');
    } catch {
      failed.push({ question, content });
    }
  }
  assert.ok(failed.length <= 1, JSON.stringify(failed, null, 1));
  const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const message = await ask(daemon, 'what is the weather in Oslo?', {
    tools: [{ type: 'function', function: { ...WEATHER, parameters: city } }],
  });
  assert.equal(message.tool_calls?.[0].function.name, 'get_weather', JSON.stringify(message));
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: 'Oslo' });
});

test('they are listed as starters, not among the models of the user', async (t) => {
  const daemon = await startDaemon(t, WITH_STARTERS);
  const { models, folders } = (await daemon.get('/api/v1/models')).body;
  assert.deepEqual(models.map(({ id, source, state }) => ({ id, source, state })), [
    { id: 'starter', source: 'starter', state: 'usable' },
    { id: 'starter-image', source: 'starter', state: 'usable' },
  ]);
  assert.ok(folders.every((folder) => !folder.includes('starter')), folders.join());
  const { body } = await daemon.post('/api/v1/load', { model: 'no-such-model' });
  assert.match(body.error.message, /put a \.gguf file there/);
  const { stdout } = await ingle(daemon.home, ['run', 'starter', 'hello']);
  assert.match(stdout, /starter model/);
});
