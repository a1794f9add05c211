// Part of ./dev bench diffusion: how fast `ingle convert` packs a model, and what a second thread
// gains. Random numbers in matrices of 4096 by 4096, from the page cache.
import { execFile } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { BUILD, Home } from '../tests/e2e/harness.mjs';
import { random } from '../tests/e2e/sharing.mjs';
import { median, row, rounds, say, section } from './rows.mjs';

const SIDE = 4096;
const MATRICES = 4;

function writeModel(path) {
  const size = SIDE * SIDE * 4;
  const header = Object.fromEntries(
    Array.from({ length: MATRICES }, (_, i) => [
      `blocks.${i}.weight`,
      { dtype: 'F32', shape: [SIDE, SIDE], data_offsets: [i * size, (i + 1) * size] },
    ]),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const chance = random(1);
  // Sums of a few numbers are nearly a bell, as weights are.
  const numbers = Float32Array.from(
    { length: SIDE * SIDE },
    () => (chance() + chance() + chance() - 1.5) / 20,
  );
  const file = openSync(path, 'w');
  for (const part of [length, text]) writeSync(file, part);
  for (let i = 0; i < MATRICES; ++i) writeSync(file, new Uint8Array(numbers.buffer));
  closeSync(file);
  return MATRICES * size;
}

// Seconds of one conversion, by its own clock.
async function convert(model, type, threads) {
  const words = [model, `${model}.gguf`, '--type', type, '--threads', `${threads}`, '--replace'];
  const { stdout } = await promisify(execFile)(join(BUILD, 'bin/ingle-convert'), words);
  return JSON.parse(stdout.trim().split('\n').at(-1)).result.took_ms / 1e3;
}

export async function convertRows() {
  say('conversions');
  const home = new Home();
  const model = join(home.path, 'model.safetensors');
  const mebibytes = writeModel(model) / 2 ** 20;
  const out = [section(`Conversions of a model of ${mebibytes} MiB in f32, errors measured.`)];
  for (const type of ['q4_k', 'q8_0']) {
    const one = [];
    const two = [];
    for (let i = 0; i < rounds(5); ++i) {
      one.push(await convert(model, type, 1));
      two.push(await convert(model, type, 2));
    }
    out.push(row(`to ${type}, 1 thread: read a second`, mebibytes / median(one), 'MiB/s'));
    out.push(row(`to ${type}: 2 threads against 1`, median(one) / median(two), 'times'));
  }
  rmSync(model);
  home.remove();
  return out;
}
