// Many clients on four models of which two fit, with workers killed under them, beside
// llama-server's router.
import { chat } from '../tests/e2e/harness.mjs';
import { askAtRandom, killAtRandom, sampleHost, tally } from '../tests/e2e/sharing.mjs';
import { engineArguments, modelFolder, withDaemon, withRouter } from './memory_rig.mjs';
import { rounds, row, say, section } from './rows.mjs';

const MODELS = { a: 500, b: 500, c: 500, d: 500 };
const CLIENTS = 8;

export async function crowdRows() {
  const folder = modelFolder('four', MODELS);
  const requests = rounds(200);
  const crowd = (url) =>
    askAtRandom(url, {
      models: Object.keys(MODELS),
      clients: CLIENTS,
      requests,
      seed: 3,
      body: (model, number, stream) => chat(model, { max_tokens: 2 + (number % 7), stream }),
      timeout: 300_000,
    });
  const killing = (victims) => killAtRandom({ victims, every: 3000, each: 4, seed: 5 });
  const config = ['memory.ram_budget=1300M', 'text.context_tokens=2048', 'text.parallel=4'];
  const ours = await withDaemon(folder, config, async (daemon) => {
    say(`${requests} requests, ingle, with kills`);
    const engine = await engineArguments(daemon, 'a');
    const sampler = sampleHost(daemon, 200);
    const killer = killing(async () =>
      (await daemon.residents()).map(({ id, pid }) => ({ name: id, pid })),
    );
    const outcomes = await crowd(daemon.url);
    await killer.stop();
    await sampler.stop();
    await daemon.post('/api/v1/unload', {});
    const { reservations, devices } = (await daemon.get('/api/v1/system')).body;
    const peak = Math.max(...sampler.samples.map((host) => host.resident_bytes));
    const left = reservations.length + devices[0].committed_bytes;
    const over = peak / devices[0].budget_bytes;
    return { outcomes, engine, kills: killer.kills.length, left, over };
  });
  const theirs = {};
  for (const kills of [false, true])
    theirs[kills] = await withRouter(folder, 2, ours.engine, async (router) => {
      say(`${requests} requests, router, ${kills ? 'with' : 'without'} kills`);
      const killer = kills ? killing(async () => router.workers()) : undefined;
      const outcomes = await crowd(router.url);
      await killer?.stop();
      return { outcomes, kills: killer?.kills.length ?? 0 };
    });
  const told = (who, { outcomes, kills }) =>
    Object.entries(tally(outcomes)).map(([code, count]) =>
      row(`${who}, ${kills} kills: ${code}`, count, 'requests'),
    );
  const count = (outcomes, test) => outcomes.filter(test).length;
  const lost = ({ code }) => code === 'hung' || code === 'broken off' || /^the stream/.test(code);
  const killed = ours.kills;
  return [
    section(
      `${requests} requests from ${CLIENTS} clients over four models of 500 MB, of which two fit ` +
        '(router: --models-max 2), with workers killed at random, each model at most four times. ' +
        'Every outcome that is no answer is named by its error code.',
    ),
    ...told('ingle', ours),
    ...told('router', theirs[false]),
    ...told('router', theirs[true]),
    row('ingle: requests lost without a typed reason', count(ours.outcomes, lost), '', ['<=', 0]),
    row('ingle: answers of status 500', count(ours.outcomes, (one) => one.status === 500), '', [
      '<=',
      0,
    ]),
    row(
      'router: answers of status 500 without a kill',
      count(theirs[false].outcomes, (one) => one.status === 500),
      '',
    ),
    row(
      `router: answers of status 500 with ${theirs[true].kills} kills`,
      count(theirs[true].outcomes, (one) => one.status === 500),
      '',
    ),
    row('ingle: workers killed', killed, ''),
    row('ingle: largest sum of resident bytes over the budget', ours.over, '', ['<=', 1]),
    row('ingle: reservations and bytes left after unloading all', ours.left, '', ['<=', 0]),
  ];
}
