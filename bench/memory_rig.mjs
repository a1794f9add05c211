// The two that are compared in bench/memory.mjs: a daemon with a budget, and llama-server's own
// router with the same engine settings on the same files.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { BUILD, processes, sleep, waitFor } from '../tests/e2e/harness.mjs';
import { with_daemon } from './home.mjs';
import { say } from './rows.mjs';

// A folder with models of these sizes in MB, by name, of one of the tool's shapes; made once per
// build of the tool.
export function modelFolder(name, sizes, shape = 'mem-gqa') {
  const tool = join(BUILD, 'bin/ingle-make-gguf');
  const folder = join(BUILD, 'bench-models', String(Math.floor(statSync(tool).mtimeMs)), name);
  mkdirSync(folder, { recursive: true });
  Object.entries(sizes).forEach(([model, megabytes], i) => {
    const path = join(folder, `${model}.gguf`);
    if (existsSync(path)) return;
    say(`making ${name}/${model}, ${megabytes} MB`);
    const temporary = `${path}.part`;
    const size = ['--size', String(megabytes), '--seed', String(i + 1)];
    execFileSync(tool, [shape, ...size, '--name', model, '--out', temporary]);
    renameSync(temporary, path);
  });
  return folder;
}

// More settings for every daemon, and so for the router: INGLE_BENCH_SET=text.threads=1 where
// others use the cores, since threads that wait for each other crawl there.
const MORE = (process.env.INGLE_BENCH_SET ?? '').split(' ').filter(Boolean);

// A daemon that knows the models of `folder`, with these settings, while `body` runs.
export const withDaemon = (folder, config, body) => {
  const args = [...config, ...MORE].flatMap((setting) => ['--set', setting]);
  return with_daemon({ folder, args }, body);
};

const SAME = `--threads --threads-batch --ctx-size --parallel --batch-size --ubatch-size
  --flash-attn --cache-type-k --cache-type-v --cache-ram --fit`.split(/\s+/);

// What the daemon would tell the engine about how to run this model, as far as it is no name.
export async function engineArguments(daemon, model) {
  const { body } = await daemon.get(`/api/v1/plan?model=${model}`);
  if (!body.command) throw new Error(`no plan for ${model}: ${JSON.stringify(body)}`);
  const words = body.command.split(' ');
  return SAME.flatMap((flag) =>
    words.includes(flag) ? [flag, words[words.indexOf(flag) + 1]] : [],
  );
}

// llama-server's router over `folder` while `body` runs: {url, workers()}. At most `count` models
// at once; it counts, and knows nothing of bytes.
export async function withRouter(folder, count, engine, body) {
  const args = ['--models-dir', folder, '--models-max', String(count), '--port', '0'];
  const child = spawn('llama-server', [...args, '--no-ui', '--offline', ...engine], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((done) => child.on('close', done));
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => (said = (said + bytes).slice(-100_000)));
  const workers = () =>
    processes().flatMap(({ pid, parent, command }) => {
      const alias = / --alias (\S+)/.exec(command);
      return parent === child.pid && alias ? [{ name: alias[1], pid }] : [];
    });
  try {
    const [, url] = await waitFor('the router to listen', () =>
      /listening on (http:\/\/127\.0\.0\.1:[1-9]\d*)/.exec(said),
    );
    return await body({ url, workers });
  } finally {
    const left = workers();
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(5000)]);
    child.kill('SIGKILL');
    await ended;
    for (const { pid, command } of processes())
      if (left.some((worker) => worker.pid === pid) && command.includes(folder))
        process.kill(pid, 'SIGKILL');
  }
}
