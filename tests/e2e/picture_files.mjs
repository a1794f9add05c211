// Pictures and adapters as files, for tests that look at pixels and give some of their own: PNG of
// 8 bits a channel, and safetensors of f32. It shares no code with what it tests.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 }; // by the PNG's colour type

function* chunks(png) {
  assert.deepEqual(png.subarray(0, 8), SIGNATURE, 'a PNG');
  for (let at = 8; at < png.length; ) {
    const size = png.readUInt32BE(at);
    yield [png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + size)];
    at += size + 12;
  }
}

// What stands beside and above, as a filter of PNG predicts it.
function predicted(filter, left, up, corner) {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter !== 4) return 0;
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

// {width, height, channels, data}; rows from above, channels last.
export function decodePng(png) {
  let width, height, channels;
  const packed = [];
  for (const [kind, body] of chunks(png)) {
    if (kind === 'IDAT') packed.push(body);
    if (kind !== 'IHDR') continue;
    [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
    assert.equal(body[8], 8, 'eight bits a channel');
    channels = CHANNELS[body[9]];
  }
  const rows = inflateSync(Buffer.concat(packed));
  const stride = width * channels;
  const data = Buffer.alloc(stride * height);
  for (let y = 0; y < height; ++y) {
    const filter = rows[y * (stride + 1)];
    for (let x = 0; x < stride; ++x) {
      const at = y * stride + x;
      const left = x >= channels ? data[at - channels] : 0;
      const up = y > 0 ? data[at - stride] : 0;
      const corner = x >= channels && y > 0 ? data[at - stride - channels] : 0;
      data[at] = rows[y * (stride + 1) + 1 + x] + predicted(filter, left, up, corner);
    }
  }
  return { width, height, channels, data };
}

// A picture of which `colour(x, y)` gives the channels of a pixel: one (grey) or three.
export function makePng(width, height, colour) {
  const channels = colour(0, 0).length;
  const rows = Buffer.alloc(height * (width * channels + 1));
  for (let y = 0, at = 0; y < height; ++y) {
    ++at; // no filter
    for (let x = 0; x < width; ++x) for (const value of colour(x, y)) rows[at++] = value;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 1 ? 0 : 2], 8);
  const chunk = (kind, body) => {
    const out = Buffer.alloc(body.length + 12);
    out.writeUInt32BE(body.length, 0);
    out.write(kind, 4, 'latin1');
    body.copy(out, 8);
    out.writeUInt32BE(crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
    return out;
  };
  const all = [
    ['IHDR', header],
    ['IDAT', deflateSync(rows)],
    ['IEND', Buffer.alloc(0)],
  ];
  return Buffer.concat([SIGNATURE, ...all.map(([kind, body]) => chunk(kind, body))]);
}

// The mean difference of two pictures' numbers, 0 to 255, over the pixels that `where(x, y)` picks.
export function difference(one, other, where = () => true) {
  assert.deepEqual([one.width, one.height], [other.width, other.height], 'pictures of one size');
  let sum = 0;
  let count = 0;
  for (let y = 0; y < one.height; ++y)
    for (let x = 0; x < one.width; ++x) {
      if (!where(x, y)) continue;
      const at = (y * one.width + x) * one.channels;
      for (let i = at; i < at + one.channels; ++i, ++count)
        sum += Math.abs(one.data[i] - other.data[i]);
    }
  assert.ok(count > 0, 'some pixels to compare');
  return sum / count;
}

// Shapes of the tensors of a safetensors file, by name.
export function tensorShapes(path) {
  const file = readFileSync(path);
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))));
  delete header.__metadata__;
  return Object.fromEntries(Object.entries(header).map(([name, { shape }]) => [name, shape]));
}

// Writes {name: {shape, data: numbers}} as safetensors of f32.
export function writeTensors(path, tensors) {
  const header = {};
  let at = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + 4 * data.length] };
    at += 4 * data.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const numbers = Object.values(tensors).map(({ data }) =>
    Buffer.from(new Float32Array(data).buffer),
  );
  writeFileSync(path, Buffer.concat([length, text, ...numbers]));
}
