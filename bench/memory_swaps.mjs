// How long a model takes the place of another, beside llama-server's router.
import { chat } from '../tests/e2e/harness.mjs';
import { ask } from '../tests/e2e/sharing.mjs';
import { engineArguments, modelFolder, withDaemon, withRouter } from './memory_rig.mjs';
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

// `body` with the router as it is by itself, and with the engine's warm-up left out as ingle does.
const withRouters = (folder, engine, body) =>
  withRouter(folder, 1, engine, (plain) =>
    withRouter(folder, 1, [...engine, '--no-warmup'], (cold) => body(plain, cold)),
  );

function compared(name, ours, theirs, target) {
  const ratio = (of) => of(ours) / of(theirs);
  return [
    row(`swap, ${name}, median`, median(theirs), 'ms'),
    row(`swap, ${name}, p95`, p95(theirs), 'ms'),
    row(`swap, ingle over ${name}, median`, ratio(median), '', target),
    row(`swap, ingle over ${name}, p95`, ratio(p95), '', target),
  ];
}

export async function swapRows() {
  const folder = modelFolder('two', { a: 1000, b: 2000 });
  const config = ['memory.ram_budget=2600M', 'queue.shortest_residency=0s'];
  config.push('text.context_tokens=4096', 'text.parallel=2');
  return withDaemon(folder, config, async (daemon) => {
    const engine = await engineArguments(daemon, 'a');
    return withRouters(folder, engine, async (router, cold) => {
      const times = { ours: [], router: [], cold: [], again: [] };
      const stages = new Map();
      const swaps = rounds(24);
      for (let i = -2; i < swaps; ++i) {
        const model = i % 2 === 0 ? 'a' : 'b';
        say(`swap ${i + 1} of ${swaps}`);
        const before = daemon.records().length;
        const outcome = {
          ours: await answered(daemon.url, short(model, 2 * i)),
          again: await answered(daemon.url, short(model, 2 * i + 1)),
          router: await answered(router.url, short(model, 2 * i)),
          cold: await answered(cold.url, short(model, 2 * i)),
        };
        if (i < 0) continue; // the files come into the page cache
        for (const [name, { ms }] of Object.entries(outcome)) times[name].push(ms);
        for (const [name, from, to] of stagesOf(daemon.records().slice(before), model))
          stages.set(name, [...(stages.get(name) ?? []), to - from]);
      }
      return [
        section(
          `Swaps between models of 1 and 2 GB where one fits, ${swaps} times: from the first ` +
            'request for the one that is not loaded to its answer of one token. The router runs ' +
            `with --models-max 1 and ${engine.join(' ')}, and swaps in turn with ingle. For this ` +
            'queue.shortest_residency is 0. On a processor ingle leaves out the warm-up that the ' +
            'engine does by itself; the router is measured with and without it.',
        ),
        row('swap, ingle, median', median(times.ours), 'ms'),
        row('swap, ingle, p95', p95(times.ours), 'ms'),
        ...compared('router', times.ours, times.router, ['<=', 1]),
        ...compared('router --no-warmup', times.ours, times.cold),
        row('the same request without a swap, ingle, median', median(times.again), 'ms'),
        ...[...stages].map(([name, values]) => row(`  of a swap: ${name}`, median(values), 'ms')),
      ];
    });
  });
}
