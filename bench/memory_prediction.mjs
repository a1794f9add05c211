// How far predictions of memory are from what workers take: memory_bench (src/engines) on the five
// shapes, each loaded twice.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { BUILD } from '../tests/e2e/harness.mjs';
import { row, say, section } from './rows.mjs';

const SIZES = process.env.INGLE_TEST_QUICK ? ['100'] : ['100', '500'];

// Lines such as "mem-gqa  100 512 x1  file  131.0  130.2  132.9  -1.4 %".
const LINE = /^(mem-\S+)\s.*\s(file|known)\s.*\s([+-][\d.]+) %$/;

export async function predictionRows() {
  const tool = join(BUILD, 'bin/memory_bench');
  say(`prediction, models of ${SIZES.join(' and ')} MB`);
  const { stdout } = await promisify(execFile)(tool, SIZES, { timeout: 1_800_000 });
  const worst = new Map();
  for (const line of stdout.split('\n')) {
    const found = LINE.exec(line);
    if (!found) continue;
    const [, shape, basis, error] = found;
    const key = `${shape}, ${basis === 'file' ? 'first load' : 'after a measured load'}`;
    worst.set(key, Math.max(worst.get(key) ?? 0, Math.abs(Number(error))));
  }
  return [
    section(
      `Error of predicted memory against what the worker held once used, the worst of several ` +
        `settings and of models of ${SIZES.join(' and ')} MB for each shape.`,
    ),
    ...[...worst].map(([name, error]) =>
      row(name, error, '%', ['<=', name.endsWith('first load') ? 15 : 5]),
    ),
  ];
}
