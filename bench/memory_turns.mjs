// Requests A B A B for two models of which one fits: the queue's order against first come, first
// served.
import { chat, sleep } from '../tests/e2e/harness.mjs';
import { ask } from '../tests/e2e/sharing.mjs';
import { engineArguments, modelFolder, withDaemon, withRouter } from './memory_rig.mjs';
import { rounds, row, say, section } from './rows.mjs';

const LONGEST_WAIT_S = 15;
const ARRIVAL_MS = 50;

const bodyOf = (number) =>
  chat(number % 2 === 0 ? 'a' : 'b', {
    messages: [{ role: 'user', content: `${number}?` }],
    max_tokens: 2,
  });

// Every request at its time, whatever became of those before: {seconds, longest, outcomes}.
async function asTheyCome(url, count) {
  const started = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      await sleep(i * ARRIVAL_MS);
      return ask(url, bodyOf(i), { timeout: 600_000 });
    }),
  );
  return summary(started, outcomes);
}

// The same requests in the order of their arrival, each when the one before has its answer. Each
// needs a swap, so that serving several at once would not help.
async function firstComeFirstServed(url, count) {
  const started = performance.now();
  const outcomes = [];
  for (let i = 0; i < count; ++i) {
    await sleep(Math.max(0, started + i * ARRIVAL_MS - performance.now()));
    const outcome = await ask(url, bodyOf(i), { timeout: 600_000 });
    outcomes.push({ ...outcome, ms: performance.now() - started - i * ARRIVAL_MS });
  }
  return summary(started, outcomes);
}

function summary(started, outcomes) {
  return {
    seconds: (performance.now() - started) / 1000,
    longest: Math.max(...outcomes.map(({ ms }) => ms)) / 1000,
    failed: outcomes.filter(({ code }) => code).length,
  };
}

export async function turnRows() {
  const folder = modelFolder('experts', { a: 1500, b: 1500 }, 'mem-moe');
  const count = rounds(40);
  const config = ['memory.ram_budget=2200M', 'text.context_tokens=2048', 'text.parallel=4'];
  let engine;
  const warmed = async (url) => {
    for (const i of [1, 0]) await ask(url, bodyOf(i));
  };
  say(`${count} requests in turn, first come first served`);
  const fifo = await withDaemon(folder, [...config, 'queue.shortest_residency=0s'], async (d) => {
    engine = await engineArguments(d, 'a');
    await warmed(d.url);
    return firstComeFirstServed(d.url, count);
  });
  say(`${count} requests in turn, ingle's queue`);
  const own = [...config, `queue.longest_wait=${LONGEST_WAIT_S}s`];
  const ours = await withDaemon(folder, own, async (daemon) => {
    await warmed(daemon.url);
    return asTheyCome(daemon.url, count);
  });
  say(`${count} requests in turn, router`);
  const theirs = await withRouter(folder, 1, engine, async (router) => {
    await warmed(router.url);
    return asTheyCome(router.url, count);
  });
  return [
    section(
      `${count} requests A B A B ... for models of experts, 1.5 GB, of which one ` +
        `fits, one every ${ARRIVAL_MS} ms, 2 tokens each. First come, first served: the same ` +
        'daemon with queue.shortest_residency=0, given each request when the one before has its ' +
        'answer. ' +
        `ingle: all at their times, queue.longest_wait=${LONGEST_WAIT_S}s. Router: the same, ` +
        'with --models-max 1. A wait is from the arrival to the whole answer.',
    ),
    row('first come, first served: until all have answers', fifo.seconds, 's'),
    row('ingle: until all have answers', ours.seconds, 's'),
    row('router: until all have answers', theirs.seconds, 's'),
    row('ingle, times sooner than first come, first served', fifo.seconds / ours.seconds, 'x', [
      '>=',
      3,
    ]),
    row('ingle: longest wait', ours.longest, 's', ['<=', LONGEST_WAIT_S]),
    row('first come, first served: longest wait', fifo.longest, 's'),
    row('router: longest wait', theirs.longest, 's'),
    row('ingle: requests without an answer', ours.failed, '', ['<=', 0]),
    row('router: requests without an answer', theirs.failed, ''),
  ];
}
