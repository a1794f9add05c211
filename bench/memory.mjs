// What happens to models that do not fit together: how long one takes the place of another, what
// becomes of requests when workers die, what taking turns saves, and what a conversation costs that
// was moved aside. Beside it, where it can do the same, llama-server's own router on the same files
// with the same settings, measured in turn in one run.
import { loadavg } from 'node:os';

import { conversationRows } from './memory_conversation.mjs';
import { crowdRows } from './memory_crowd.mjs';
import { predictionRows } from './memory_prediction.mjs';
import { swapRows } from './memory_swaps.mjs';
import { turnRows } from './memory_turns.mjs';
import { row, section } from './rows.mjs';

// By name, each to be run alone as memory-NAME.
export const MEMORY_PARTS = {
  swaps: swapRows,
  crowd: crowdRows,
  turns: turnRows,
  conversation: conversationRows,
  prediction: predictionRows,
};

export async function memory(parts = Object.values(MEMORY_PARTS)) {
  const before = loadavg()[0];
  const out = [];
  for (const part of parts) out.push(...(await part()));
  out.push(
    section('The machine meanwhile: other load makes every figure above worse.'),
    row('load average before', before, ''),
    row('load average after', loadavg()[0], ''),
  );
  return out;
}
