// A daemon in a home of its own, for as long as `body(daemon)` runs: with these sample models, or
// with those of `folder`.
import { Home, WITH_STARTERS, listening, spawnDaemon, warm } from '../tests/e2e/harness.mjs';

export async function with_daemon({ models = [], folder, args = [], env = {} }, body) {
  const home = new Home();
  if (folder) home.models = folder;
  for (const name of models) home.add(name);
  const daemon = spawnDaemon(home, { args, env });
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
export const with_starters = (body) => with_daemon(WITH_STARTERS, body);
