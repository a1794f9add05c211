// An `openai` client for a daemon of its own, with all the sample models. Another server is tried
// instead when INGLE_CONFORMANCE_URL names it (its own limits will fail some tests).
import OpenAI from 'openai';

import { startDaemon } from '../e2e/harness.mjs';

export const MODELS = ['tiny', 'tiny-qwen2', 'embedding', 'slow'];

export async function connect(t, options = {}) {
  const other = process.env.INGLE_CONFORMANCE_URL;
  const daemon = other ? { url: other } : await startDaemon(t, { models: MODELS, ...options });
  const client = new OpenAI({ baseURL: `${daemon.url}/v1`, apiKey: 'none', maxRetries: 0 });
  return { daemon, client };
}

export const FIRE = [{ role: 'user', content: 'Tell me of fire.' }];

// A short greedy chat; `more` adds or replaces.
export const ask = (more = {}) => ({
  model: 'tiny',
  messages: FIRE,
  max_tokens: 24,
  temperature: 0,
  ...more,
});

export async function all(stream) {
  const out = [];
  for await (const chunk of stream) out.push(chunk);
  return out;
}

// A schema whose every value is short, so that even random weights come to its end.
export const SHORT_SCHEMA = {
  type: 'object',
  properties: {
    fuel: { type: 'string', enum: ['oak', 'birch', 'peat'] },
    lit: { type: 'boolean' },
  },
  required: ['fuel', 'lit'],
  additionalProperties: false,
};

export function fitsShortSchema(text) {
  const value = JSON.parse(text);
  return (
    Object.keys(value).sort().join() === 'fuel,lit' &&
    SHORT_SCHEMA.properties.fuel.enum.includes(value.fuel) &&
    typeof value.lit === 'boolean'
  );
}
