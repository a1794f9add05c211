// Pictures of the starter image model, from a daemon (tests/e2e/harness.mjs).
import { decodePng } from '../../tests/e2e/picture_files.mjs';

// Pictures of the prompt; `more`: {n, seed}. Without a seed each has one of its own.
export async function draw(daemon, prompt, more = {}) {
  const { status, body, text } = await daemon.post('/v1/images/generations', {
    model: 'starter-image',
    prompt,
    response_format: 'b64_json',
    ...more,
  });
  if (status !== 200) throw new Error(`'${prompt}': ${text}`);
  return body.data.map(({ b64_json }) => decodePng(Buffer.from(b64_json, 'base64')));
}

// The share of pixels that are not (nearly) the same.
export function different_share(one, other) {
  let pixels = 0;
  for (let at = 0; at < one.data.length; at += one.channels)
    if (Math.abs(one.data[at] - other.data[at]) > 24) ++pixels;
  return pixels / (one.width * one.height);
}
