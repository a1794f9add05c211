// ./dev bench diffusion: how much of the processor pictures use. Random weights in published
// shapes; every rate is told as a share of what a product of 4096 x 4096 by 4096 in bf16 reaches on
// the same threads in the same process.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { BUILD, Home, listening, spawnDaemon, waitFor, warm } from '../tests/e2e/harness.mjs';
import { convertRows } from './convert.mjs';
import { loadRows, randomModel } from './load.mjs';
import { median, row, rounds, say, section } from './rows.mjs';

const run = promisify(execFile);
const bin = (name) => join(BUILD, 'bin', name);
const QUICK = Boolean(process.env.INGLE_TEST_QUICK);
const RUNS = QUICK ? '1' : '3';

// Lines of "name value" as {name: value}.
async function figures(tool, ...args) {
  say(`${tool} ${args.join(' ')}`);
  const { stdout } = await run(bin(tool), args, { maxBuffer: 1 << 24 });
  return Object.fromEntries(
    stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words.length >= 2)
      .map(([name, value]) => [name, Number(value)]),
  );
}

async function rateRows() {
  const out = [
    section(
      'Useful floating-point work per second of one evaluation, in bf16 on the processor, over ' +
        "the product's: UNets with two pictures (one with, one without the prompt), a stack of 2 " +
        'double and 4 single FLUX blocks with 1,024 picture tokens, the decoder at 512 by 512.',
    ),
  ];
  const models = [
    ['unet_sd15', '2', 'SD 1.5, 512 by 512', 0.6],
    ['unet_sdxl', '2', 'SDXL, 512 by 512', 0.6],
    ['vae_decoder', '1', 'decoder of SD, 512 by 512', 0.5],
  ];
  for (const [model, items, words, least] of models) {
    const found = await figures('models_bench', model, '512', items, RUNS);
    const of = (name) => found[`${model}_${name}`];
    out.push(row(`${words}: share of the product's rate`, of('ratio'), '', ['>=', least]));
    out.push(row(`${words}: one evaluation`, of('evaluation_s'), 's'));
    const held = of('activations_mb') + of('scratch_mb');
    out.push(row(`${words}: activations and scratch`, held, 'MB'));
  }
  const flux = await figures('flux_bench');
  out.push(row("FLUX blocks: share of the product's rate", flux.ratio, '', ['>=', 0.6]));
  const times = (mode) => flux[`${mode}_times_as_fast`];
  const difference = (mode) => flux[`${mode}_difference`] * 100;
  out.push(row('FLUX blocks in int8: times as fast as in bf16', times('int8'), 'x'));
  out.push(row('FLUX blocks in int8: difference from bf16', difference('int8'), '%', ['<=', 3]));
  const stored = 1 / times('q4_0');
  out.push(row('FLUX blocks, weights stored as q4_0: time over that of bf16', stored, 'x'));
  const gb = (name) => flux[name] / 1000;
  out.push(row('FLUX blocks: weights in bf16', gb('weights_mb'), 'GB'));
  out.push(row('FLUX blocks: weights in int8', gb('int8_weights_mb'), 'GB'));
  out.push(row('FLUX blocks: weights stored as q4_0', gb('q4_0_weights_mb'), 'GB'));
  const text = await figures('text_bench');
  out.push(row('CLIP-L, 77 tokens', text.clip_l_items_1_ms, 'ms', ['<=', 60]));
  return out;
}

// Lines such as "conv 3x3 320 at 64x64  onednn bf16 455.1 GFLOPS, ggml f16 60.2 GFLOPS: 7.6 times".
async function ggmlRows() {
  say('executors_bench');
  const { stdout } = await run(bin('executors_bench'));
  const out = [
    section('The same graphs on oneDNN in bf16 and on ggml with f16 weights, on the processor.'),
  ];
  for (const line of stdout.split('\n')) {
    const found = /^(.+?)\s+onednn bf16 .*: *([\d.]+) times/.exec(line);
    if (found) out.push(row(`${found[1]}: times faster`, Number(found[2]), 'x', ['>=', 4]));
  }
  return out;
}

// A whole model on disk, through the daemon.
async function pictureRows() {
  const folder = randomModel();
  const home = new Home();
  home.models = folder;
  const daemon = spawnDaemon(home, {});
  try {
    await listening(daemon);
    await warm(daemon);
    const draw = async (seed) => {
      const { body } = await daemon.post('/api/v1/images', {
        prompt: 'a hearth in winter',
        steps: 2,
        seed,
      });
      return waitFor(
        `picture ${seed}`,
        async () => {
          const job = (await daemon.get(`/api/v1/jobs/${body.id}`)).body;
          if (job.state === 'failed') throw new Error(JSON.stringify(job.error));
          return job.state === 'completed' && job;
        },
        { timeout: 300_000, every: 20 },
      );
    };
    const seconds = (job) => (job.ended_unix_ms - job.started_unix_ms) / 1000;
    say('pictures through the daemon');
    const first = await draw(1);
    const later = [];
    for (let i = 0; i < rounds(3); ++i) later.push(seconds(await draw(2 + i)));
    const [resident] = await daemon.residents();
    return [
      section(
        'A model of 2 GB (f16) in the shapes of SD 1.5 through the daemon, 512 by 512, 2 steps. ' +
          'The first picture loads the model from the page cache.',
      ),
      row('first picture', seconds(first), 's'),
      row('further ones, median', median(later), 's'),
      row('loading, of the first', resident.load_ms / 1000, 's'),
      row('memory of the worker', resident.resident_bytes / 1e9, 'GB'),
    ];
  } finally {
    await daemon.stop();
    home.remove();
  }
}

export async function diffusion() {
  return [
    ...(await rateRows()),
    ...(await ggmlRows()),
    ...(await loadRows()),
    ...(await pictureRows()),
    ...(await convertRows()),
  ];
}
