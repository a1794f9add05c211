// Part of ./dev bench diffusion: what loading a model of 2 GB costs, from the page cache, beside
// what the same threads need to copy as much into fresh memory, which no load can do without: a
// virtual machine that gets its memory page by page from its host spends most of its time there.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { BUILD, TOP } from '../tests/e2e/harness.mjs';
import { median, row, rounds, say, section } from './rows.mjs';

const bin = (name) => join(BUILD, 'bin', name);

// A folder with a model in the shapes of SD 1.5, made once.
export function randomModel() {
  const folder = join(BUILD, 'bench-models', 'sd15-random');
  if (existsSync(folder)) return folder;
  say('making a model in the shapes of SD 1.5, 2 GB');
  mkdirSync(join(BUILD, 'bench-models'), { recursive: true });
  rmSync(`${folder}.part`, { recursive: true, force: true });
  const small = join(TOP, 'tests/golden/diffusion/full_sd15');
  execFileSync(bin('ingle-make-diffusion'), ['sd15', small, `${folder}.part`]);
  renameSync(`${folder}.part`, folder);
  return folder;
}

export async function loadRows() {
  const model = randomModel();
  const found = [];
  for (let i = 0; i < rounds(5); ++i) {
    say(`load_bench, ${i + 1}`);
    const { stdout } = await promisify(execFile)(bin('load_bench'), [model]);
    found.push(
      Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split(' '))
          .map(([name, value]) => [name, Number(value)]),
      ),
    );
  }
  const of = (name) => median(found.map((figures) => figures[name]));
  return [
    section(
      'Loading it from the page cache, in a new process: packed for the processor in bf16; then ' +
        'what its first step takes longer than its second. A copy of as many bytes into fresh ' +
        'memory, by the same threads in the same process, is what a load cannot do without.',
    ),
    row('load', of('load_s'), 's'),
    row('a copy into fresh memory', of('copy_s'), 's'),
    row('load, in copies', of('ratio'), 'x', ['<=', 2]),
    row('first step, more than the second', of('first_step_more_s'), 's'),
    row('memory of the process at its peak while loading', of('memory_peak_mb'), 'MB'),
  ];
}
