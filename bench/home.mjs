// A daemon in a home of its own, with these models in it, for as long as `body(daemon)` runs.
import { Home, listening, spawnDaemon, warm } from '../tests/e2e/harness.mjs';

export async function with_daemon({ models = [], env = {} }, body) {
  const home = new Home();
  for (const name of models) home.add(name);
  const daemon = spawnDaemon(home, { env });
  try {
    await listening(daemon);
    await warm(daemon);
    return await body(daemon);
  } finally {
    await daemon.stop();
    home.remove();
  }
}

// With the models that come with ingle instead.
export const with_starters = (body) =>
  with_daemon({ env: { INGLE_MODELS_STARTER: 'true' } }, body);
