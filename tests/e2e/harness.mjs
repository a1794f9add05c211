// What every end-to-end test needs: a daemon of its own in a home of its own, sample models, and
// ways to look at both. Homes lie under /tmp with short names, because a unix socket's path may
// have 107 bytes. Nothing here knows what is tested.
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import net from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TOP = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const BUILD = resolve(process.env.INGLE_TEST_BUILD ?? join(TOP, 'build/dev'));
export const INGLE = join(BUILD, 'bin/ingle');

// ---- waiting

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Polls `condition` until it gives something true, and returns that. `what` is for the failure.
export async function waitFor(what, condition, { timeout = 15_000, every = 10 } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${timeout} ms for ${what}`);
    await sleep(every);
  }
}

// ---- sample models

// How each is made by ingle-make-gguf. `slow` takes seconds for a prompt of thousands of tokens;
// `hundred` has 100 MB.
const SAMPLES = {
  tiny: ['tiny'],
  'tiny-qwen2': ['tiny-qwen2'],
  embedding: ['embedding'],
  reranker: ['reranker'],
  bench150m: ['bench150m'],
  vocab150k: ['vocab150k'],
  hundred: ['mem-gqa'],
  slow: '--arch llama --layers 8 --embd 512 --ffn 1536 --ctx 8192 --type f16 --name slow'.split(
    ' ',
  ),
};

// Path of a sample, made once per build of the tool.
export function sample(name) {
  const tool = join(BUILD, 'bin/ingle-make-gguf');
  const folder = join(BUILD, 'test-models', String(Math.floor(statSync(tool).mtimeMs)));
  const path = join(folder, `${name}.gguf`);
  if (!existsSync(path)) {
    if (!existsSync(folder)) rmSync(dirname(folder), { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const temporary = `${path}.${process.pid}`;
    execFileSync(tool, [...SAMPLES[name], '--out', temporary]);
    renameSync(temporary, path);
  }
  return path;
}

// ---- homes

export class Home {
  constructor() {
    this.path = mkdtempSync('/tmp/ie-');
    this.models = join(this.path, 'm');
    mkdirSync(this.models);
  }
  // Copies a sample into the models' folder, under another name if one is given.
  add(name, as = name) {
    const path = join(this.models, `${as}.gguf`);
    copyFileSync(sample(name), path);
    return path;
  }
  lease() {
    return JSON.parse(readFileSync(join(this.path, 'run/daemon.json'), 'utf8'));
  }
  // Every process whose command line names this home: the daemon's workers, mostly.
  processes() {
    return processes().filter(({ command }) => command.includes(this.path));
  }
  workers() {
    return this.processes().filter(({ command }) => !/\bserve\b/.test(command));
  }
  remove() {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent), command }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

export const alive = (pid) => processes().some((process) => process.pid === pid);

// ---- the daemon

const PASSED_ON = ['PATH', 'LANG', 'TERM', 'ASAN_OPTIONS', 'TSAN_OPTIONS', 'UBSAN_OPTIONS'];

export function environment(home, more = {}) {
  const out = { HOME: home.path, INGLE_HOME: home.path, INGLE_LOG_FORMAT: 'json' };
  // A home has the models that its test puts there.
  if (existsSync(join(BUILD, 'share/ingle/starter'))) out.INGLE_MODELS_STARTER = 'false';
  for (const name of PASSED_ON) if (process.env[name]) out[name] = process.env[name];
  // A preloaded library comes before the sanitizer's own, which it would refuse otherwise.
  if (more.LD_PRELOAD) out.ASAN_OPTIONS = `${out.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`;
  return { ...out, ...more };
}

// For startDaemon and spawnDaemon: the models that come with ingle are there, too.
export const WITH_STARTERS = { env: { INGLE_MODELS_STARTER: 'true' } };

export class Daemon {
  constructor(home, child) {
    this.home = home;
    this.child = child;
    this.pid = child.pid;
    this.stdout = '';
    this.stderr = '';
    child.stdout.on('data', (bytes) => (this.stdout += bytes));
    child.stderr.on('data', (bytes) => (this.stderr += bytes));
    // {code, signal}, once it has ended and its output is whole.
    this.ended = new Promise((done) => child.on('close', (code, signal) => done({ code, signal })));
    this.ended.then((how) => (this.how = how));
  }
  get port() {
    return Number(new URL(this.url).port);
  }
  // The records logged so far.
  records() {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }
  fetch(path, options) {
    return fetch(this.url + path, options);
  }
  async get(path, options) {
    return answerOf(await this.fetch(path, options));
  }
  async post(path, body, options = {}) {
    return answerOf(await this.postRaw(path, body, options));
  }
  postRaw(path, body, { headers, ...options } = {}) {
    return this.fetch(path, {
      method: 'POST',
      body: JSON.stringify(body),
      ...options,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  }
  async residents() {
    return (await this.get('/api/v1/ps')).body.models;
  }
  async signal(name) {
    this.child.kill(name);
    return this.ended;
  }
  async stop() {
    if (!this.how) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
    const how = await this.ended;
    clearTimeout(timer);
    return how;
  }
}

async function answerOf(response) {
  const text = await response.text();
  let body = text;
  if (response.headers.get('content-type')?.includes('json')) body = JSON.parse(text);
  return { status: response.status, headers: response.headers, body, text };
}

// Spawns `ingle serve` and does not wait for it.
export function spawnDaemon(home, { args = [], env = {}, before = [], port = 0 } = {}) {
  const line = [
    ...before,
    INGLE,
    'serve',
    '--port',
    String(port),
    '--models',
    home.models,
    ...args,
  ];
  const child = spawn(line[0], line.slice(1), {
    env: environment(home, env),
    cwd: home.path,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Daemon(home, child);
}

// Starts a daemon for test `t`, which ends it (and removes its home, unless it was given).
//   models: names of samples; args, env, port: for `ingle serve`; before: a command to run it
//   under; until: 'listening', 'ready' or (the default) 'warm'
export async function startDaemon(t, options = {}) {
  const home = options.home ?? new Home();
  for (const name of options.models ?? []) home.add(name);
  const daemon = spawnDaemon(home, options);
  t.after(async () => {
    await daemon.stop();
    if (!t.passed) t.diagnostic(`the daemon said:\n${daemon.stdout}${daemon.stderr.slice(-6000)}`);
    if (!options.home) home.remove();
  });
  await listening(daemon);
  if (options.until === 'ready') await ready(daemon);
  else if (options.until !== 'listening') await warm(daemon);
  return daemon;
}

export const ready = (daemon) =>
  waitFor('/readyz', async () => (await daemon.get('/readyz')).status === 200);

// Until every warm-up job has ended: the core is usable and the first scan is done.
export async function warm(daemon) {
  await ready(daemon);
  const { body } = await daemon.get('/api/warmup_wait?timeout=30');
  if (!body.done) throw new Error(`still warming: ${body.pending}`);
}

export async function listening(daemon) {
  const line = /listening on (http:\/\/\S+)/;
  await waitFor('the daemon to listen', () => daemon.how || line.test(daemon.stdout));
  if (daemon.how)
    throw new Error(`the daemon ended (${JSON.stringify(daemon.how)}): ${daemon.stderr}`);
  daemon.url = line.exec(daemon.stdout)[1];
  return daemon;
}

// Runs `ingle ARGS...` to its end: {code, stdout, stderr}.
export function ingle(home, args, { env = {}, input } = {}) {
  return new Promise((done) => {
    const options = {
      env: environment(home, env),
      cwd: home.path,
      timeout: 60_000,
      maxBuffer: 1 << 26,
    };
    const child = execFile(INGLE, args, options, (error, stdout, stderr) =>
      done({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    );
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(input ?? '');
  });
}

// ---- the wire

// Sends raw bytes and collects what comes until the other side closes, `until` matches, or time is
// up: {text, closed, ms}.
export function raw(port, bytes, { until, timeout = 5000 } = {}) {
  return new Promise((done) => {
    const started = Date.now();
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const finish = (closed) => {
      clearTimeout(timer);
      socket.destroy();
      done({ text, closed, ms: Date.now() - started });
    };
    const timer = setTimeout(() => finish(false), timeout);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (until?.test(text)) finish(false);
    });
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(true));
  });
}

// The status of a raw answer.
export const statusOf = (text) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);

// Pieces of an event stream: {comment} or {data} (parsed unless it is [DONE]).
export async function* sse(response) {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true });
    for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2))
      for (const line of rest.slice(0, end).split('\n')) {
        if (line.startsWith(':')) yield { comment: line.slice(1).trim() };
        else if (line === 'data: [DONE]') yield { done: true };
        else if (line.startsWith('data: ')) yield { data: JSON.parse(line.slice(6)) };
      }
  }
}

export async function collect(stream) {
  const out = [];
  for await (const piece of stream) out.push(piece);
  return out;
}

// A WebSocket whose messages can be waited for.
export class Socket {
  constructor(url, headers = {}) {
    this.messages = [];
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), { headers });
    this.socket.onmessage = ({ data }) => this.messages.push(JSON.parse(data));
    this.opened = new Promise((done, fail) => {
      this.socket.onopen = () => done(this);
      this.socket.onerror = (event) => fail(event.error ?? new Error(event.message));
    });
    this.closed = new Promise((done) => {
      this.socket.onclose = ({ code, reason }) => done({ code, reason });
    });
    this.opened.catch(() => {});
  }
  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }
  // The first message that fits, among those that came and those that come.
  next(fits = () => true, what = 'a message') {
    return waitFor(what, () => this.messages.find(fits));
  }
  close() {
    this.socket.close();
    return this.closed;
  }
}

export async function openEvents(daemon, hello = {}, headers = {}) {
  const socket = await new Socket(`${daemon.url}/api/v1/events`, headers).opened;
  socket.send({ type: 'hello', protocol_version: 1, client: 'e2e', topics: [], ...hello });
  return socket;
}

// A chat request that asks for `tokens` tokens; what is not given has a default.
export function chat(model, more = {}) {
  return {
    model,
    messages: [{ role: 'user', content: 'Tell me of fire.' }],
    max_tokens: 16,
    temperature: 0,
    ...more,
  };
}
