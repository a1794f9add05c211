// How good the starter text model is: the questions that its training never saw
// (starter/text/questions.json), through the daemon, without a grammar, taking the best guess.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { facts_of } from '../starter/text/facts.mjs';
import { holds, lies_finder } from '../starter/text/truth.mjs';
import { INGLE, TOP } from '../tests/e2e/harness.mjs';
import { with_starters } from './home.mjs';
import { rounds, row, say, section } from './rows.mjs';

const questions = () =>
  JSON.parse(readFileSync(join(TOP, 'starter/text/questions.json'), 'utf8'));

const own_words = () =>
  JSON.parse(readFileSync(join(TOP, 'starter/text/own_words.json'), 'utf8'));

async function ask(daemon, content) {
  const started = performance.now();
  const { status, body, text } = await daemon.post('/v1/chat/completions', {
    model: 'starter',
    temperature: 0,
    max_tokens: 200,
    messages: [{ role: 'user', content }],
  });
  if (status !== 200) throw new Error(`'${content}': ${text}`);
  const tokens = body.usage.completion_tokens;
  return { answer: body.choices[0].message.content, tokens, ms: performance.now() - started };
}

// Every answer, for whoever wants to read them: build/bench/starter-answers.json.
async function answers_to(daemon, list, is_right, all) {
  let right = 0;
  for (const asked of list) {
    const { answer, tokens, ms } = await ask(daemon, asked.question);
    const ok = is_right(answer, asked);
    if (ok) right += 1;
    all.push({ question: asked.question, answer, ok, tokens, ms });
  }
  return right / list.length;
}

const is_json_with = (answer, { keys }) => {
  try {
    const value = JSON.parse(answer);
    return Object.keys(value).sort().join() === [...keys].sort().join();
  } catch {
    return false;
  }
};
const is_json = (answer) => {
  try {
    return typeof JSON.parse(answer) === 'object';
  } catch {
    return false;
  }
};

// Tokens per second of one long answer after another, prompt and HTTP included.
const speed_of = (all) => {
  const long = all.filter(({ tokens }) => tokens >= 30);
  const sum = (field) => long.reduce((total, item) => total + item[field], 0);
  return (1000 * sum('tokens')) / sum('ms');
};

async function rows_of(daemon) {
  const { facts, json, sums, refused } = questions();
  const all = [];
  const first = (list) => list.slice(0, rounds(list.length));
  const fact = (answer, { must }) => holds(answer, must);
  await ask(daemon, 'hello'); // loads it
  say('questions about ingle');
  const by = (kind) => first(facts.filter((asked) => asked.new === kind));
  const framed = await answers_to(daemon, by('frame'), fact, all);
  const worded = await answers_to(daemon, by('wording'), fact, all);
  const speed = speed_of(all);
  say('questions in the words of people');
  const own = await answers_to(daemon, first(own_words()), fact, all);
  say('sums, refusals and JSON');
  const summed = await answers_to(daemon, first(sums), fact, all);
  const refusals = first(refused).map((question) => ({ question }));
  const no = await answers_to(daemon, refusals, (answer) => /I can't do that/.test(answer), all);
  const lies_in = lies_finder(facts_of(INGLE));
  const lies = all.map((item) => ({ ...item, lies: lies_in(item.answer) }));
  const objects = [];
  await answers_to(daemon, first(json), is_json_with, objects);
  const valid = objects.filter(({ answer }) => is_json(answer)).length / objects.length;
  const whole = objects.filter(({ ok }) => ok).length / objects.length;
  mkdirSync(join(TOP, 'build/bench'), { recursive: true });
  writeFileSync(
    join(TOP, 'build/bench/starter-answers.json'),
    `${JSON.stringify([...lies, ...objects], null, 1)}\n`,
  );
  const share = (value) => Math.round(1000 * value) / 10;
  return [
    section('The starter text model, through the daemon, temperature 0.'),
    row('questions in frames never seen, answered with the fact', share(framed), '%', ['>=', 90]),
    row('in wordings never seen', share(worded), '%'),
    row("in people's own words", share(own), '%'),
    row('answers that name what is not there', lies.filter((item) => item.lies.length).length, '', [
      '<=',
      0,
    ]),
    row('valid JSON without a grammar', share(valid), '%', ['>=', 95]),
    row('JSON with exactly the keys asked for', share(whole), '%'),
    row('sums in words not seen', share(summed), '%'),
    row('other questions refused', share(no), '%'),
    row('tokens per second, prompt and HTTP included', speed, 'tokens/s', ['>=', 300]),
  ];
}

export const starter = () => with_starters(rows_of);
