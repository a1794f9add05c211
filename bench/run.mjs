// ./dev bench [NAME]: builds nothing, runs the benchmarks of build/release and prints their
// figures as a table with the targets, and as JSON in build/bench/NAME.json.
//   spine: starting, streaming through ingle against llama-server itself, GGUF metadata
//   starter, starter-image: how good the starter models are (starter.mjs, starter_image.mjs)
//   diffusion: how much of the processor pictures use (diffusion.mjs)
//   memory: models that do not fit together, against llama-server's own router (memory.mjs);
//     one part of it: memory-swaps, memory-crowd, memory-turns, memory-conversation,
//     memory-prediction
// INGLE_TEST_QUICK=1 takes a tenth of the rounds, to see that everything works.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const TOP = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const BUILD = resolve(process.env.INGLE_TEST_BUILD ?? join(TOP, 'build/release'));
process.env.INGLE_TEST_BUILD = BUILD;
const { INGLE, sample, sleep } = await import('../tests/e2e/harness.mjs');
const { diffusion } = await import('./diffusion.mjs');
const { with_daemon } = await import('./home.mjs');
const { MEMORY_PARTS, memory } = await import('./memory.mjs');
const { starter } = await import('./starter.mjs');
const { starter_image } = await import('./starter_image.mjs');
const { print, rounds, row, say } = await import('./rows.mjs');

// Not the blocking kind: fetch must see meanwhile which kept-alive connections the daemon ends.
const run = async (program, ...args) => {
  const { stdout, stderr } = await promisify(execFile)(program, args.map(String));
  process.stderr.write(stderr);
  return JSON.parse(stdout);
};
const tool = (name) => join(BUILD, 'bin', name);

async function startRows() {
  say('cold starts');
  const times = await run(
    tool('first_answer'),
    rounds(40),
    INGLE,
    'serve',
    '--models',
    '/nonexistent',
  );
  return [
    row('exec to first 200 on /livez, median', times.first_answer_ms_median, 'ms', ['<=', 15]),
    row('exec to first 200 on /livez, p95', times.first_answer_ms_p95, 'ms'),
    row('SIGTERM to the end when idle, median', times.stop_ms_median, 'ms', ['<=', 200]),
  ];
}

const residentMb = (pid) =>
  (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024) / 1e6;

// Loads a model and says how its worker is reached without ingle: socket and key.
async function load(daemon, model, set) {
  const { status, text } = await daemon.post('/api/v1/load', { model, set, keep_alive: '-1' });
  if (status !== 200) throw new Error(`loading ${model}: ${text}`);
  const [{ pid }] = await daemon.residents();
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const key = /LLAMA_API_KEY=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))[1];
  return [`unix:${words[words.indexOf('--host') + 1]}`, key, `tcp:${daemon.port}`];
}

const client = (...args) => run(tool('stream_client'), ...args);

async function streamRows(daemon) {
  const out = [];
  const target = ['>=', 0.98];
  let direct = await load(daemon, 'bench150m', ['parallel=16', 'context_tokens=1024']);
  for (const [streams, tokens, count] of [
    [1, 64, 20],
    [16, 24, 12],
  ]) {
    say(`tokens per second, ${streams} streams`);
    const r = await client('throughput', 'bench150m', streams, tokens, rounds(count), ...direct);
    say(JSON.stringify(r));
    out.push(
      row(`${streams} streams, llama-server itself`, r.direct_tokens_per_s, 'tokens/s'),
      row(`${streams} streams, through ingle`, r.ingle_tokens_per_s, 'tokens/s'),
      row(`${streams} streams, ratio (median of pairs)`, r.ratio_median, '', target),
    );
  }
  say('cancelling');
  direct = await load(daemon, 'bench150m', ['parallel=1', 'context_tokens=4096']);
  const left = await client('cancel', 'bench150m', rounds(12), 400, ...direct);
  out.push(
    row('a client leaves in the answer: worker idle after', left.in_answer_ms_median, 'ms', [
      '<=',
      100,
    ]),
    row('a client leaves in the prompt: worker idle after', left.in_prompt_ms_median, 'ms', [
      '<=',
      100,
    ]),
  );
  say('first token');
  await sleep(100); // the connection that went idle meanwhile is seen to be closed
  direct = await load(daemon, 'tiny', ['parallel=4']);
  const first = await client('first_token', 'tiny', rounds(400), ...direct);
  out.push(
    row('first token, llama-server itself, median', first.direct_ms_median, 'ms'),
    row('first token, through ingle, median', first.ingle_ms_median, 'ms'),
    row('first token, added, median of pairs', first.added_ms_median, 'ms', ['<=', 0.5]),
  );
  return out;
}

// Both read the same file: ours parses and takes the facts, python3-gguf makes its reader.
async function ggufRows() {
  const python = join(TOP, 'bench/gguf_python.py');
  if (!existsSync(tool('gguf_bench')) || !existsSync(python)) return [];
  say('GGUF metadata');
  const file = sample('vocab150k');
  const ours = await run(tool('gguf_bench'), file, rounds(50));
  const theirs = await run('python3', python, file, rounds(3));
  return [
    row('metadata of 150,000 tokens, ingle, median', ours.median_ms, 'ms'),
    row('metadata of 150,000 tokens, python3-gguf, median', theirs.median_ms, 'ms'),
    row('metadata, times faster', theirs.median_ms / ours.median_ms, 'x', ['>=', 20]),
  ];
}

async function spine() {
  const rows = await startRows();
  rows.push(
    ...(await with_daemon({ models: ['tiny', 'bench150m'] }, async (daemon) => {
      await sleep(2000);
      const idle = row('idle resident memory', residentMb(daemon.pid), 'MB', ['<=', 20]);
      const streams = await streamRows(daemon);
      const { loop_stalls: stalls, loop_turn_ms_max: longest } = (
        await daemon.get('/api/io_pool_status')
      ).body;
      return [
        idle,
        ...streams,
        row('loop stalls in all of this', stalls, '', ['<=', 0]),
        row('longest turn of the loop', longest, 'ms'),
      ];
    })),
  );
  return [...rows, ...(await ggufRows())];
}

const benchmarks = { spine, memory, diffusion, starter, 'starter-image': starter_image };
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benchmarks);
for (const [name, part] of Object.entries(MEMORY_PARTS))
  benchmarks[`memory-${name}`] = () => memory([part]);
for (const name of names) {
  if (!(name in benchmarks)) {
    console.error(`bench: no benchmark '${name}': there is ${Object.keys(benchmarks).join(', ')}`);
    process.exit(2);
  }
  const rows = await benchmarks[name]();
  print(rows);
  const machine = `${cpus().length} x ${cpus()[0].model}`;
  mkdirSync(join(TOP, 'build/bench'), { recursive: true });
  writeFileSync(
    join(TOP, `build/bench/${name}.json`),
    JSON.stringify({ machine, measured_at: new Date().toISOString(), rows }, null, 2) + '\n',
  );
}
