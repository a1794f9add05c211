// What happens to models that do not fit together: how long one takes the place of another, what
// becomes of requests when workers die, what taking turns saves, and what a conversation costs that
// was moved aside. Beside it, where it can do the same, llama-server's own router on the same files
// with the same settings, measured in turn in one run.
import { loadavg } from 'node:os';

import { chat } from '../tests/e2e/harness.mjs';
import { ask, askAtRandom, killAtRandom, sampleHost, tally } from '../tests/e2e/sharing.mjs';
import { conversationRows } from './memory_conversation.mjs';
import { predictionRows } from './memory_prediction.mjs';
import { engineArguments, modelFolder, withDaemon, withRouter } from './memory_rig.mjs';
import { turnRows } from './memory_turns.mjs';
import { median, p95, rounds, row, say, section } from './rows.mjs';

// Fails the benchmark: what it compares must have worked on both sides.
async function answered(url, body) {
  const outcome = await ask(url, body, { timeout: 300_000 });
  if (outcome.code) throw new Error(`${body.model}: ${outcome.code}: ${outcome.message}`);
  return outcome;
}

const short = (model, number) =>
  chat(model, {
    messages: [{ role: 'user', content: `${number}?` }],
    max_tokens: 1,
  });

// Times between events of one swap in the daemon's log, in ms, by name.
function stagesOf(records, model) {
  const at = (event, test = () => true) => {
    const found = records.find((record) => record.event === event && test(record));
    return found ? Date.parse(found.time) : undefined;
  };
  const own = ({ fields }) => fields.model === model;
  const times = [
    ['moved aside and its process gone', at('eviction_decided'), at('worker_ended')],
    ['memory measured, planned, started', at('worker_ended'), at('worker_spawned', own)],
    ['the engine loads', at('worker_spawned', own), at('worker_ready', own)],
    ['settings and conversations, first answer', at('worker_ready', own), at('request')],
  ];
  return times.filter(([, from, to]) => from !== undefined && to !== undefined);
}

async function swapRows() {
  const folder = modelFolder('two', { a: 1000, b: 2000 });
  const config = ['memory.ram_budget=2600M', 'queue.shortest_residency=0s'];
  config.push('text.context_tokens=4096', 'text.parallel=2');
  return withDaemon(folder, config, async (daemon) => {
    const engine = await engineArguments(daemon, 'a');
    return withRouter(folder, 1, engine, async (router) => {
      const times = { ours: [], theirs: [], again: [] };
      const stages = new Map();
      const swaps = rounds(24);
      for (let i = -2; i < swaps; ++i) {
        const model = i % 2 === 0 ? 'a' : 'b';
        say(`swap ${i + 1} of ${swaps}`);
        const before = daemon.records().length;
        const ours = await answered(daemon.url, short(model, 2 * i));
        const again = await answered(daemon.url, short(model, 2 * i + 1));
        const theirs = await answered(router.url, short(model, 2 * i));
        if (i < 0) continue; // the files come into the page cache
        times.ours.push(ours.ms);
        times.again.push(again.ms);
        times.theirs.push(theirs.ms);
        for (const [name, from, to] of stagesOf(daemon.records().slice(before), model))
          stages.set(name, [...(stages.get(name) ?? []), to - from]);
      }
      return [
        section(
          `Swaps between models of 1 and 2 GB where one fits, ${swaps} times: from the first ` +
            'request for the one that is not loaded to its answer of one token. The router runs ' +
            `with --models-max 1 and ${engine.join(' ')}, and swaps in turn with ingle. For this ` +
            'queue.shortest_residency is 0; ingle also saves and restores the conversations, ' +
            'which the router does not.',
        ),
        row('swap, ingle, median', median(times.ours), 'ms'),
        row('swap, router, median', median(times.theirs), 'ms'),
        row('swap, ingle over router, median', median(times.ours) / median(times.theirs), '', [
          '<=',
          1,
        ]),
        row('swap, ingle, p95', p95(times.ours), 'ms'),
        row('swap, router, p95', p95(times.theirs), 'ms'),
        row('swap, ingle over router, p95', p95(times.ours) / p95(times.theirs), '', ['<=', 1]),
        row('the same request without a swap, ingle, median', median(times.again), 'ms'),
        ...[...stages].map(([name, values]) => row(`  of a swap: ${name}`, median(values), 'ms')),
      ];
    });
  });
}

const MODELS = { a: 500, b: 500, c: 500, d: 500 };
const CLIENTS = 8;

async function crowdRows() {
  const folder = modelFolder('four', MODELS);
  const requests = rounds(200);
  const crowd = (url) =>
    askAtRandom(url, {
      models: Object.keys(MODELS),
      clients: CLIENTS,
      requests,
      seed: 3,
      body: (model, number, stream) => chat(model, { max_tokens: 2 + (number % 7), stream }),
      timeout: 300_000,
    });
  const killing = (victims) => killAtRandom({ victims, every: 3000, each: 4, seed: 5 });
  const config = ['memory.ram_budget=1300M', 'text.context_tokens=2048', 'text.parallel=4'];
  const ours = await withDaemon(folder, config, async (daemon) => {
    say(`${requests} requests, ingle, with kills`);
    const engine = await engineArguments(daemon, 'a');
    const sampler = sampleHost(daemon, 200);
    const killer = killing(async () =>
      (await daemon.residents()).map(({ id, pid }) => ({ name: id, pid })),
    );
    const outcomes = await crowd(daemon.url);
    await killer.stop();
    await sampler.stop();
    await daemon.post('/api/v1/unload', {});
    const { reservations, devices } = (await daemon.get('/api/v1/system')).body;
    const peak = Math.max(...sampler.samples.map((host) => host.resident_bytes));
    const left = reservations.length + devices[0].committed_bytes;
    const over = peak / devices[0].budget_bytes;
    return { outcomes, engine, kills: killer.kills.length, left, over };
  });
  const theirs = {};
  for (const kills of [false, true])
    theirs[kills] = await withRouter(folder, 2, ours.engine, async (router) => {
      say(`${requests} requests, router, ${kills ? 'with' : 'without'} kills`);
      const killer = kills ? killing(async () => router.workers()) : undefined;
      const outcomes = await crowd(router.url);
      await killer?.stop();
      return { outcomes, kills: killer?.kills.length ?? 0 };
    });
  const told = (who, { outcomes, kills }) =>
    Object.entries(tally(outcomes)).map(([code, count]) =>
      row(`${who}, ${kills} kills: ${code}`, count, 'requests'),
    );
  const count = (outcomes, test) => outcomes.filter(test).length;
  const lost = ({ code }) => code === 'hung' || code === 'broken off' || /^the stream/.test(code);
  const killed = ours.kills;
  return [
    section(
      `${requests} requests from ${CLIENTS} clients over four models of 500 MB, of which two fit ` +
        '(router: --models-max 2), with workers killed at random, each model at most four times. ' +
        'Every outcome that is no answer is named by its error code.',
    ),
    ...told('ingle', ours),
    ...told('router', theirs[false]),
    ...told('router', theirs[true]),
    row('ingle: requests lost without a typed reason', count(ours.outcomes, lost), '', ['<=', 0]),
    row('ingle: answers of status 500', count(ours.outcomes, (one) => one.status === 500), '', [
      '<=',
      0,
    ]),
    row(
      'router: answers of status 500 without a kill',
      count(theirs[false].outcomes, (one) => one.status === 500),
      '',
    ),
    row(
      `router: answers of status 500 with ${theirs[true].kills} kills`,
      count(theirs[true].outcomes, (one) => one.status === 500),
      '',
    ),
    row('ingle: workers killed', killed, ''),
    row('ingle: largest sum of resident bytes over the budget', ours.over, '', ['<=', 1]),
    row('ingle: reservations and bytes left after unloading all', ours.left, '', ['<=', 0]),
  ];
}

export async function memory() {
  const before = loadavg()[0];
  const out = [];
  for (const part of [swapRows, crowdRows, turnRows, conversationRows, predictionRows])
    out.push(...(await part()));
  out.push(
    section('The machine meanwhile: other load makes every figure above worse.'),
    row('load average before', before, ''),
    row('load average after', loadavg()[0], ''),
  );
  return out;
}
