// Many clients on models that do not fit together, with workers killed under them: what is done to
// a daemon, and what is written down of it. The test and the benchmark of memory judge the records.
import { sleep } from './harness.mjs';

// Every code that an error may have: the closed list of src/base/error.h.
export const ERROR_CODES = new Set(
  `invalid_argument malformed limit_exceeded unauthorized forbidden not_found model_not_found
  method_not_allowed conflict unsupported version_mismatch cancelled io_error disk_full
  permission_denied address_in_use out_of_memory timeout model_broken spawn_failed worker_crashed
  load_failed upstream_error pending overloaded shutting_down daemon_absent database_error
  internal`.split(/\s+/),
);

// Numbers from 0 to below 1 that are the same for the same seed.
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// The code of an error answer or of an error inside a stream; undefined: it is a whole answer.
function failureIn(status, text, stream) {
  if (status === 200 && !stream) return undefined;
  if (status === 200) {
    const failed = /^data: (\{"error".*)$/m.exec(text);
    if (failed) return codeIn(failed[1]);
    return text.trimEnd().endsWith('data: [DONE]') ? undefined : 'the stream broke off';
  }
  return codeIn(text);
}

function codeIn(text) {
  try {
    const { error } = JSON.parse(text);
    return String(error.code ?? error.type);
  } catch {
    return `no JSON: ${text.slice(0, 80)}`;
  }
}

// One chat request: {model, status, code, message, ms}. `code` is undefined for a whole answer,
// 'hung' when none came in `timeout` ms, 'broken off' when the connection ended under it.
export async function ask(url, body, { timeout = 120_000 } = {}) {
  const started = performance.now();
  const out = { model: body.model, stream: body.stream === true };
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
    const text = await response.text();
    out.status = response.status;
    out.code = failureIn(response.status, text, out.stream);
    if (out.code) out.message = text.slice(0, 400);
    else if (!out.stream) out.usage = JSON.parse(text).usage;
  } catch (error) {
    out.code = error.name === 'TimeoutError' ? 'hung' : 'broken off';
    out.message = String(error.cause ?? error);
  }
  out.ms = performance.now() - started;
  return out;
}

// `requests` requests from `clients` clients, each asking for one model after the other at random;
// every third is a stream. Resolves to the outcomes.
export async function askAtRandom(url, { models, clients, requests, seed, body, timeout }) {
  const next = random(seed);
  const outcomes = [];
  let begun = 0;
  const client = async () => {
    while (begun < requests) {
      const number = begun++;
      const model = models[Math.floor(next() * models.length)];
      outcomes.push(await ask(url, body(model, number, number % 3 === 0), { timeout }));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return outcomes;
}

// Does `act` every `every` ms (give or take a half) until stop() is called, which waits for it.
function repeat(every, next, act) {
  let going = true;
  const done = (async () => {
    while (going) {
      await sleep(every * (0.5 + next()));
      if (going) await act();
    }
  })();
  return {
    async stop() {
      going = false;
      await done;
    },
  };
}

// Kills workers at random: `victims` gives {name, pid} of those that may be killed now, and a
// worker of each name is killed at most `each` times. The list of kills grows while it runs.
export function killAtRandom({ victims, every, each, seed }) {
  const next = random(seed);
  const kills = [];
  const killer = repeat(every, next, async () => {
    const all = (await victims()).filter(
      ({ name, pid }) =>
        kills.filter((kill) => kill.name === name).length < each &&
        !kills.some((kill) => kill.pid === pid),
    );
    if (all.length === 0) return;
    const victim = all[Math.floor(next() * all.length)];
    try {
      process.kill(victim.pid, 'SIGKILL');
      kills.push(victim);
    } catch {
      // It ended meanwhile.
    }
  });
  return { kills, stop: () => killer.stop() };
}

// The host of GET /api/v1/system, over and over.
export function sampleHost(daemon, every) {
  const samples = [];
  const sampler = repeat(
    every,
    () => 0.5,
    async () => {
      const { status, body } = await daemon.get('/api/v1/system');
      if (status === 200) samples.push(body.devices[0]);
    },
  );
  return { samples, stop: () => sampler.stop() };
}

// The outcomes by what became of them: {answered: 57, worker_crashed: 3}.
export function tally(outcomes) {
  const out = { answered: 0 };
  for (const { code } of outcomes) out[code ?? 'answered'] = (out[code ?? 'answered'] ?? 0) + 1;
  return out;
}
