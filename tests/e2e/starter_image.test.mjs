// Goal: what the starter image model draws is what it was asked for. Method: the model as shipped,
// through the daemon, on prompts that its training never saw, with fixed seeds; a program that
// knows nothing of the prompt reads the pictures.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { different_share, draw } from '../../starter/image/draw.mjs';
import { mistakes, world } from '../../starter/image/reader.mjs';
import { WITH_STARTERS, startDaemon } from './harness.mjs';

test('pictures show what they were asked for, and seeds differ', async (t) => {
  const daemon = await startDaemon(t, WITH_STARTERS);
  const wrong = [];
  const asked = world.prompts.filter((_, i) => i % 12 === 0);
  for (const one of asked) {
    const [picture] = await draw(daemon, one.prompt, { seed: 5 });
    assert.deepEqual([picture.width, picture.height], [world.side, world.side]);
    const found = mistakes(one, picture);
    if (found.length > 0) wrong.push(`${one.prompt}: ${found.join(', ')}`);
  }
  // As good as the model that is shipped, with some room (starter/image/README.md).
  assert.ok(wrong.length <= 0.3 * asked.length, wrong.join('\n'));
  const [one, other] = await draw(daemon, 'a small blue cat', { n: 2, seed: 1 });
  assert.ok(different_share(one, other) > 0.005, 'two seeds, two pictures');
});
