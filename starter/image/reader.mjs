// Reads a picture of the small world: what things of which colour stand where, and what of that is
// not as it was asked for. It knows nothing of the prompt when it looks.
//
// A thing is a patch that is not background; its colour is the one that it has most of, its kind
// the one whose own drawing (kinds.png: a row for each manner of drawing, a column for each kind)
// has the most similar outline. A second colour in a patch is a thing inside it.
import { readFileSync } from 'node:fs';

import { decodePng } from '../../tests/e2e/picture_files.mjs';

const here = (name) => new URL(name, import.meta.url);
export const world = JSON.parse(readFileSync(here('world.json'), 'utf8'));

const SIDE = world.side;
const GRID = 40; // outlines are compared on a grid of this many points a side
const AREA_MIN = 70; // pixels
const CLEAR = 8; // pixels between the middles of things that stand beside each other

const NAMES = Object.keys(world.colours);
const PALETTE = [
  ...Object.values(world.colours),
  ...world.fixed,
  ...Object.values(world.backgrounds),
];
const FIRST_GROUND = NAMES.length + world.fixed.length;

const mask_of = (test) => Uint8Array.from({ length: SIDE * SIDE }, (_, at) => (test(at) ? 1 : 0));
const size_of = (mask) => mask.reduce((sum, bit) => sum + bit, 0);
const both = (a, b) => mask_of((at) => a[at] && b[at]);
const largest = (list, score) => {
  let [best, best_score] = [list[0], -Infinity];
  for (const item of list) {
    const value = score(item);
    if (value > best_score) [best, best_score] = [item, value];
  }
  return best;
};

// The nearest colour of the palette for each pixel, and which of them is the background.
function labels_of({ width, channels, data }, left = 0, top = 0) {
  const labels = new Uint8Array(SIDE * SIDE);
  const rim = new Array(PALETTE.length).fill(0);
  for (let y = 0; y < SIDE; ++y)
    for (let x = 0; x < SIDE; ++x) {
      const at = ((top + y) * width + left + x) * channels;
      const off = (colour) =>
        colour.reduce((sum, value, i) => sum + (value - data[at + i]) ** 2, 0);
      let [best, least] = [0, Infinity];
      for (let i = 0; i < PALETTE.length; ++i) {
        const distance = off(PALETTE[i]);
        if (distance < least) [best, least] = [i, distance];
      }
      labels[y * SIDE + x] = best;
      if (best >= FIRST_GROUND && (x % (SIDE - 1) === 0 || y % (SIDE - 1) === 0)) ++rim[best];
    }
  return { labels, ground: rim.indexOf(Math.max(...rim)) };
}

// Marks what of `free` hangs together with the pixel `start` (and takes it out of `free`).
function flood(free, start, reach) {
  const [patch, stack] = [new Uint8Array(SIDE * SIDE), [start]];
  free[start] = 0;
  while (stack.length) {
    const at = stack.pop();
    patch[at] = 1;
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    for (const [right, down] of reach) {
      const [u, v] = [x + right, y + down];
      const next = v * SIDE + u;
      if (u < 0 || v < 0 || u >= SIDE || v >= SIDE || !free[next]) continue;
      free[next] = 0;
      stack.push(next);
    }
  }
  return patch;
}

const CROSS = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
];
const AROUND = [...CROSS, [1, 1], [1, -1], [-1, 1], [-1, -1]];

function patches_of(mask) {
  const [free, out] = [mask.slice(), []];
  for (let at = 0; at < free.length; ++at) if (free[at]) out.push(flood(free, at, AROUND));
  return out;
}

// The patch with its holes: all but what is reached from the rim.
function filled(patch) {
  const free = patch.map((bit) => 1 - bit);
  const outside = new Uint8Array(SIDE * SIDE);
  for (let at = 0; at < SIDE * SIDE; ++at) {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    if (free[at] && (x % (SIDE - 1) === 0 || y % (SIDE - 1) === 0))
      flood(free, at, CROSS).forEach((bit, i) => (outside[i] |= bit));
  }
  return outside.map((bit) => 1 - bit);
}

// The patch without its rim: a seam between two colours has nothing left.
const core_of = (patch) =>
  mask_of((at) => {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    return (
      patch[at] &&
      (x === 0 || patch[at - 1]) &&
      (x === SIDE - 1 || patch[at + 1]) &&
      (y === 0 || patch[at - SIDE]) &&
      (y === SIDE - 1 || patch[at + SIDE])
    );
  });

// {left, top, right, bottom} in pixels.
function box_of(patch) {
  const box = { left: SIDE, top: SIDE, right: 0, bottom: 0 };
  patch.forEach((bit, at) => {
    if (!bit) return;
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    box.left = Math.min(box.left, x);
    box.top = Math.min(box.top, y);
    box.right = Math.max(box.right, x + 1);
    box.bottom = Math.max(box.bottom, y + 1);
  });
  return box;
}

// The patch stretched to the grid, and its width by height.
function outline_of(patch) {
  const { left, top, right, bottom } = box_of(patch);
  const [width, height] = [right - left, bottom - top];
  const on = (i, from, extent) => Math.floor(from + ((i + 0.5) * extent) / GRID);
  const grid = new Uint8Array(GRID * GRID);
  for (let y = 0; y < GRID; ++y)
    for (let x = 0; x < GRID; ++x)
      grid[y * GRID + x] = patch[on(y, top, height) * SIDE + on(x, left, width)];
  return { grid, ratio: width / height };
}

let kept_outlines;
function outlines() {
  if (kept_outlines) return kept_outlines;
  const sheet = decodePng(readFileSync(here('kinds.png')));
  kept_outlines = [];
  for (let top = 0; top < sheet.height; top += SIDE)
    world.kinds.forEach((kind, column) => {
      const { labels, ground } = labels_of(sheet, column * SIDE, top);
      const patch = largest(
        patches_of(mask_of((at) => labels[at] !== ground)),
        size_of,
      );
      kept_outlines.push({ kind, ...outline_of(filled(patch)) });
    });
  return kept_outlines;
}

function kind_of(patch) {
  const seen = outline_of(patch);
  return largest(outlines(), ({ grid, ratio }) => {
    let [common, all] = [0, 0];
    grid.forEach((bit, at) => {
      common += bit & seen.grid[at];
      all += bit | seen.grid[at];
    });
    return (common / all) * Math.sqrt(Math.min(ratio / seen.ratio, seen.ratio / ratio));
  }).kind;
}

// The colours of the patch, without seams between others, the most frequent first.
const main_colours = (labels, patch) =>
  NAMES.map((colour, label) => {
    const mask = mask_of((at) => patch[at] && labels[at] === label);
    return { colour, label, mask, area: size_of(mask) };
  })
    .filter(({ mask, area }) => area >= AREA_MIN && size_of(core_of(mask)) >= AREA_MIN * 0.3)
    .sort((a, b) => b.area - a.area);

// What is seen in the picture ({width, height, channels, data}): [{kind, colour, box}].
export function read_things(picture) {
  const { labels, ground } = labels_of(picture);
  const things = [];
  for (const patch of patches_of(mask_of((at) => labels[at] !== ground))) {
    if (size_of(patch) < AREA_MIN) continue;
    const whole = filled(patch);
    const [main, ...inner] = main_colours(labels, whole);
    if (!main) continue;
    things.push({ kind: kind_of(whole), colour: main.colour, box: box_of(whole) });
    const core = core_of(core_of(whole));
    for (const { colour, mask } of inner) {
      const inside = patches_of(mask_of((at) => core[at] && labels[at] !== main.label));
      if (inside.length === 0) continue;
      const own = filled(largest(inside, (part) => size_of(both(part, mask))));
      things.push({ kind: kind_of(own), colour, box: box_of(own) });
    }
  }
  return things;
}

const middle = ({ left, top, right, bottom }) => [(left + right) / 2, (top + bottom) / 2];
const HOLDS = {
  'left of': (a, b) => middle(b)[0] - middle(a)[0] > CLEAR,
  'right of': (a, b) => middle(a)[0] - middle(b)[0] > CLEAR,
  above: (a, b) => middle(b)[1] - middle(a)[1] > CLEAR,
  below: (a, b) => middle(a)[1] - middle(b)[1] > CLEAR,
  inside: (a, b) =>
    Math.min(a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom) >= -1,
};

// What in the picture is not as `wanted` says ({things: [[colour, kind]], relations: [[one,
// relation, [others]]]}); empty when all is right.
export function mistakes(wanted, picture) {
  const things = read_things(picture);
  const wrong = [];
  const found = wanted.things.map(([colour, kind]) => {
    const fitting = things.filter((thing) => thing.kind === kind && thing.colour === colour);
    if (fitting.length !== 1) wrong.push(`${fitting.length} times ${colour} ${kind}`);
    return fitting.length === 1 ? fitting[0] : undefined;
  });
  if (things.length > wanted.things.length)
    wrong.push(`${things.length} things for ${wanted.things.length}`);
  for (const [one, relation, others] of wanted.relations)
    for (const other of others)
      if (found[one] && found[other] && !HOLDS[relation](found[one].box, found[other].box))
        wrong.push(`${wanted.things[one][1]} not ${relation} ${wanted.things[other][1]}`);
  return wrong;
}
