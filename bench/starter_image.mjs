// How good the starter image model is: prompts that its training never saw
// (starter/image/world.json), drawn through the daemon and read by starter/image/reader.mjs, which
// knows nothing of the prompt.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { different_share, draw } from '../starter/image/draw.mjs';
import { mistakes, world } from '../starter/image/reader.mjs';
import { TOP } from '../tests/e2e/harness.mjs';
import { with_starters } from './home.mjs';
import { median, p95, rounds, row, say, section } from './rows.mjs';

const share = (list, is) =>
  list.length === 0 ? 0 : Math.round((1000 * list.filter(is).length) / list.length) / 10;
const right = ({ wrong }) => wrong.length === 0;

async function rows_of(daemon) {
  await draw(daemon, 'a red house'); // loads it
  const answers = [];
  for (const asked of world.prompts.slice(0, rounds(world.prompts.length))) {
    const started = performance.now();
    const [picture] = await draw(daemon, asked.prompt);
    const ms = performance.now() - started;
    answers.push({ ...asked, ms, wrong: mistakes(asked, picture) });
    if (answers.length % 50 === 0) say(`${answers.length} pictures`);
  }
  let apart = 0;
  const twice = world.prompts.slice(0, rounds(20));
  for (const { prompt } of twice) {
    const [one, other] = await draw(daemon, prompt, { n: 2 });
    if (different_share(one, other) > 0.005) ++apart;
  }
  // Every answer, for whoever wants to know what goes wrong.
  mkdirSync(join(TOP, 'build/bench'), { recursive: true });
  writeFileSync(
    join(TOP, 'build/bench/starter-image-answers.json'),
    `${JSON.stringify(answers, null, 1)}\n`,
  );
  const of = (number) => answers.filter(({ things }) => things.length === number);
  const related = answers.filter(({ relations }) => relations.length > 0);
  const times = answers.map(({ ms }) => ms);
  return [
    section('The starter image model, through the daemon: 128 by 128 pixels, 4 steps.'),
    row('things, colours and relations all right', share(answers, right), '%', ['>=', 85]),
    row('of these, with one thing', share(of(1), right), '%'),
    row('with two', share(of(2), right), '%'),
    row('with three', share(of(3), right), '%'),
    row('with a relation', share(related, right), '%'),
    row('prompts of which two seeds give two pictures', (100 * apart) / twice.length, '%', [
      '>=',
      100,
    ]),
    row('time for a picture, HTTP included, median', median(times), 'ms', ['<=', 2000]),
    row('95 of 100 take at most', p95(times), 'ms'),
  ];
}

export const starter_image = () => with_starters(rows_of);
