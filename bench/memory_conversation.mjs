// A conversation of 4,000 tokens whose model is moved aside and comes back.
import { chat } from '../tests/e2e/harness.mjs';
import { modelFolder, withDaemon } from './memory_rig.mjs';
import { row, say, section } from './rows.mjs';

const TOKENS = process.env.INGLE_TEST_QUICK ? 400 : 4000;

// So long that the prompt has about so many tokens in the samples' vocabulary.
const TOKENS_OF_LINE = 23.4;
const opening = (tokens) =>
  'What burns, and for how long does it burn? '.repeat(tokens / TOKENS_OF_LINE);

async function answer(daemon, model, messages, tokens) {
  const started = performance.now();
  const { status, body, text } = await daemon.post(
    '/v1/chat/completions',
    chat(model, { messages, max_tokens: tokens }),
  );
  if (status !== 200) throw new Error(text);
  return { ...body, seconds: (performance.now() - started) / 1000 };
}

// The conversation before, and its next turn after it was pushed out.
async function pushedOut(folder, config) {
  return withDaemon(folder, config, async (daemon) => {
    const messages = [{ role: 'user', content: opening(TOKENS) }];
    const first = await answer(daemon, 'a', messages, 16);
    await answer(daemon, 'b', [{ role: 'user', content: 'And you?' }], 1);
    const residents = (await daemon.residents()).map(({ id }) => id);
    if (residents.includes('a')) throw new Error('the conversation was not pushed out');
    const saved = (await daemon.get('/api/v1/system')).body.kv_disk_bytes;
    messages.push(first.choices[0].message, { role: 'user', content: 'Go on.' });
    const next = await answer(daemon, 'a', messages, 1);
    const { prompt_tokens: all, prompt_tokens_details: details } = next.usage;
    return { all, computed: all - details.cached_tokens, first, next, saved };
  });
}

export async function conversationRows() {
  const folder = modelFolder('four', { a: 500, b: 500, c: 500, d: 500 });
  const config = ['memory.ram_budget=1000M', 'queue.shortest_residency=0s'];
  config.push('text.context_tokens=8192', 'text.parallel=1');
  say('a conversation is pushed out and goes on');
  const kept = await pushedOut(folder, config);
  say('the same without keeping it');
  const lost = await pushedOut(folder, [...config, 'memory.kv_disk=0']);
  return [
    section(
      `A conversation of ${kept.first.usage.prompt_tokens} tokens with a model of 500 MB, pushed ` +
        'out by another model and continued by one turn: with its cache kept on disk, and with ' +
        'memory.kv_disk=0. Seconds are from the request to its answer of one token, the swap ' +
        'included.',
    ),
    row('prompt tokens of the next turn', kept.all, ''),
    row('of them computed, kept', kept.computed, ''),
    row('share that is computed, kept', (100 * kept.computed) / kept.all, '%', ['<=', 5]),
    row('share that is computed, not kept', (100 * lost.computed) / lost.all, '%'),
    row('next turn, kept', kept.next.seconds, 's'),
    row('next turn, not kept', lost.next.seconds, 's'),
    row('times sooner', lost.next.seconds / kept.next.seconds, 'x'),
    row('the first turn, for comparison', kept.first.seconds, 's'),
    row('kept on disk', kept.saved / 1e6, 'MB'),
  ];
}
