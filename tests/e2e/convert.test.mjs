// Goal: `ingle convert` makes a file that the daemon finds and draws with; it says what it lost,
// and whatever ends it early leaves nothing behind. Method: the command line on the tiny models of
// the golden data, and on a file of many zeros that takes a while.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, Home, INGLE, TOP, environment, ingle, startDaemon, waitFor } from './harness.mjs';
import { decodePng, difference } from './picture_files.mjs';

const GOLDEN = join(TOP, 'tests/golden/diffusion');

function newHome(t) {
  const home = new Home();
  t.after(() => home.remove());
  return home;
}

const linesOf = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

async function draw(daemon, model) {
  const request = { model, prompt: 'a photo of a cat', steps: 3, seed: 1, preview_every: 0 };
  const { status, body, text } = await daemon.post('/api/v1/images', request);
  assert.equal(status, 200, text);
  const job = await waitFor(
    'the picture',
    async () => {
      const now = (await daemon.get(`/api/v1/jobs/${body.id}`)).body;
      return !['queued', 'running'].includes(now.state) && now;
    },
    { timeout: 60_000 },
  );
  assert.equal(job.state, 'completed', JSON.stringify(job.error));
  const file = await daemon.fetch(`/api/v1/images/${job.image.images[0]}/file`);
  return decodePng(Buffer.from(await file.arrayBuffer()));
}

test('a converted model is found by its name and draws nearly the same', async (t) => {
  const home = newHome(t);
  cpSync(join(GOLDEN, 'full_sd15'), join(home.models, 'sd'), { recursive: true });
  const args = ['--set', 'images.precision=f32'];
  const first = await startDaemon(t, { home, args });
  const plain = await draw(first, 'sd');
  const makes = async (type, ...more) => {
    const out = join(home.models, `sd-${type}.gguf`);
    const made = await ingle(home, ['convert', 'sd', '-o', out, '--type', type, ...more]);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /sd-.*\.gguf: .* % of 861 KiB/);
    return made.stdout;
  };
  assert.match(await makes('q8_0', '--rule', '*.to_q.*=f32'), /F32.*\nF16|F16.*\nF32/);
  // Rows of 8 to 64 numbers are no blocks of 256.
  assert.match(await makes('q4_k'), /24 tensors became Q8_0 instead of Q4_K, .*: unet\./);
  await first.stop();

  const daemon = await startDaemon(t, { home, args });
  const { models } = (await daemon.get('/api/v1/models')).body;
  for (const type of ['q8_0', 'q4_k']) {
    const model = models.find(({ id }) => id === `sd-${type}`);
    assert.equal(model?.kind, 'image', JSON.stringify(models));
    assert.equal(model.state, 'usable', model.problem);
    const off = difference(await draw(daemon, model.id), plain);
    assert.ok(off < 6, `${type} is off by ${off}`);
  }
});

test('a part, a file, and a pipeline of two encoders', async (t) => {
  const home = newHome(t);
  const json = async (...words) => {
    const made = await ingle(home, ['convert', ...words, '--json']);
    assert.equal(made.code, 0, made.stderr + made.stdout);
    return linesOf(made.stdout).at(-1).result;
  };
  const flux = await json(join(GOLDEN, 'full_flux_schnell'), '--type', 'Q8_0', '--threads', '2');
  assert.equal(flux.path, join(home.path, 'full_flux_schnell-Q8_0.gguf'));
  assert.equal(flux.size_bytes, statSync(flux.path).size);
  const [most] = flux.types;
  assert.ok(most.relative_error > 0 || most.type === 'F32');
  assert.ok(flux.types.every(({ relative_error }) => relative_error < 0.02));

  const part = await json(join(GOLDEN, 'flux_dev'), '-o', 'part.gguf');
  assert.equal(part.path, join(home.path, 'part.gguf'));
  const file = await json(part.path, '-o', home.models, '--type', 'f16', '--rule', 'x*=q8_0');
  assert.equal(file.path, join(home.models, 'part-f16.gguf'));
  assert.equal(file.tensors, part.tensors);
  const same = await ingle(home, ['show', file.path, '--tensors']);
  assert.match(same.stdout, /transformer_blocks\.0\.attn\.to_q\.weight.*F16/);
});

test('what is wrong is said, and nothing is written', async (t) => {
  const home = newHome(t);
  const model = join(GOLDEN, 'vae_sd');
  const refused = async (pattern, ...words) => {
    const { code, stdout, stderr } = await ingle(home, ['convert', ...words]);
    assert.equal(code, 1, stdout);
    assert.match(stderr, pattern);
  };
  await refused(/no type 'q9'.*q8_0/, model, '--type', 'q9');
  await refused(/write PATTERN=TYPE/, model, '--rule', 'q8_0');
  await refused(/there is no file .*nothing/, join(home.path, 'nothing'));
  await refused(/there is no folder .*no/, model, '-o', 'no/x.gguf');
  await refused(/ingle serve/, 'sd'); // a name, and nobody to ask
  writeFileSync(join(home.path, 'mine.gguf'), 'mine');
  await refused(/mine\.gguf is there already/, model, '-o', 'mine.gguf');
  writeFileSync(join(home.path, 'bad.safetensors'), 'no header');
  await refused(/bad\.safetensors/, 'bad.safetensors', '-o', 'x.gguf');
  const { code } = await ingle(home, ['convert', model, '-o', 'mine.gguf', '--replace']);
  assert.equal(code, 0);
  assert.ok(statSync(join(home.path, 'mine.gguf')).size > 1000);
  assert.deepEqual(readdirSync(home.path).sort(), ['bad.safetensors', 'm', 'mine.gguf']);
});

// A safetensors file of zeros, without room on the disk: 2 GiB take seconds to convert.
function writeZeros(path) {
  const shape = [8192, 65536];
  const size = shape[0] * shape[1] * 4;
  const header = JSON.stringify({ 'a.weight': { dtype: 'F32', shape, data_offsets: [0, size] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(path, 'w');
  writeSync(file, length);
  writeSync(file, header);
  ftruncateSync(file, 8 + header.length + size);
  closeSync(file);
}

// Starts a conversion and waits until it is under way: {child, ended}.
async function underWay(home, before = []) {
  const words = [...before, INGLE, 'convert', 'zeros.safetensors', '--type', 'q4_k', '--json'];
  const child = spawn(words[0], words.slice(1), { env: environment(home), cwd: home.path });
  let said = '';
  child.stdout.on('data', (bytes) => (said += bytes));
  child.stderr.on('data', (bytes) => (said += bytes));
  const ended = new Promise((done) =>
    child.on('close', (code, signal) => done({ code, signal, said })),
  );
  await waitFor('progress', () => said.includes('"rate_per_s"'), { timeout: 30_000 });
  return { child, ended };
}

test('ended early it leaves nothing behind', async (t) => {
  const home = newHome(t);
  writeZeros(join(home.path, 'zeros.safetensors'));
  const left = () => readdirSync(home.path).sort();
  const before = left();
  const converting = () =>
    home.processes().filter(({ command }) => command.includes('ingle-convert'));

  const interrupted = await underWay(home);
  interrupted.child.kill('SIGINT');
  const { code, said } = await interrupted.ended;
  assert.equal(code, 130, said);
  assert.match(said, /cancelled/);
  assert.deepEqual(left(), before);

  const killed = await underWay(home);
  killed.child.kill('SIGKILL');
  await killed.ended;
  await waitFor('the worker to end, too', () => converting().length === 0);
  assert.deepEqual(left(), before);

  const crashed = await underWay(home);
  for (const { pid } of converting().filter(({ parent }) => parent === crashed.child.pid))
    process.kill(pid, 'SIGKILL');
  const crash = await crashed.ended;
  assert.equal(crash.code, 1);
  assert.match(crash.said, /SIGKILL/);
  assert.deepEqual(left(), before);
});

test('a file that the disk has no room for is refused before anything is written', async (t) => {
  const home = newHome(t);
  writeZeros(join(home.path, 'zeros.safetensors'));
  const words = ['-c', 'ulimit -f 2048; exec "$@"', 'sh', INGLE, 'convert', 'zeros.safetensors'];
  const child = spawn('sh', words, { env: environment(home), cwd: home.path });
  let said = '';
  child.stderr.on('data', (bytes) => (said += bytes));
  const code = await new Promise((done) => child.on('close', done));
  assert.equal(code, 1, said);
  assert.match(said, /zeros-q8_0\.gguf: File too large/);
  assert.ok(!existsSync(join(home.path, 'zeros-q8_0.gguf')));
  assert.ok(existsSync(join(BUILD, 'bin/ingle-convert')));
});
