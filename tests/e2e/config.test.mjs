// Goal: one set of keys, layered, each value traceable to where it came from; mistakes are told
// with their place. Method: `ingle config show` and starts with good and bad sources.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Home, ingle, spawnDaemon, startDaemon } from './harness.mjs';

function homeWith(t, toml) {
  const home = new Home();
  t.after(() => home.remove());
  if (toml !== undefined) {
    mkdirSync(join(home.path, 'config'), { recursive: true });
    writeFileSync(join(home.path, 'config/ingle.toml'), toml);
  }
  return home;
}

// The line of `config show` about a key.
async function shown(home, key, options = {}) {
  const { code, stdout, stderr } = await ingle(
    home,
    ['config', 'show', ...(options.args ?? [])],
    options,
  );
  assert.equal(code, 0, stderr);
  const line = stdout.split('\n').find((candidate) => candidate.includes(key));
  assert.ok(line, `${key} in ${stdout}`);
  return line;
}

test('config show: every key with its value and where it came from', async (t) => {
  const home = homeWith(t, '[server]\nport = 1234\n\n[log]\nlevel = "debug"\n');
  assert.match(await shown(home, 'server.port'), /1234.*ingle\.toml:2/);
  assert.match(await shown(home, 'log.level'), /debug.*ingle\.toml:5/);
  assert.match(await shown(home, 'models.keep_alive'), /5m.*default/);
  const env = { INGLE_LOG_LEVEL: 'warning' };
  assert.match(await shown(home, 'log.level', { env }), /warning.*INGLE_LOG_LEVEL/);
  assert.match(
    await shown(home, 'log.level', { env, args: ['--set', 'log.level=error'] }),
    /error.*--set/,
  );
});

test('the layers hold in the daemon', async (t) => {
  const home = homeWith(t, '[server]\nport = 1\n[models]\nkeep_alive = "7m"\n');
  const daemon = await startDaemon(t, { home, models: ['tiny'] });
  assert.notEqual(daemon.port, 1); // the harness's --port 0 is the upper layer
  await daemon.post('/api/v1/load', { model: 'tiny' });
  const [{ loaded_unix_ms: loaded, unload_unix_ms: unload }] = await daemon.residents();
  assert.ok(unload - loaded > 6 * 60_000 && unload - loaded < 8 * 60_000, `${unload - loaded}`);
});

test('mistakes name file and line, variable or flag, and near keys', async (t) => {
  const cases = [
    ['[server]\n\nprot = 1\n', {}, [], /ingle\.toml:3.*prot.*port/s],
    ['[server]\nport = "high"\n', {}, [], /ingle\.toml:2.*port/s],
    ['[server]\nport = 70000\n', {}, [], /ingle\.toml:2.*port/s],
    ['[server\n', {}, [], /ingle\.toml:1/],
    ['[hearth]\nport = 1\n', {}, [], /ingle\.toml.*hearth/s],
    ['', { INGLE_SERVER_PROT: '1' }, [], /INGLE_SERVER_PROT.*(INGLE_SERVER_PORT|server\.port)/s],
    ['', { INGLE_SERVER_PORT: 'x' }, [], /INGLE_SERVER_PORT/],
    ['', {}, ['--set', 'log.level=loud'], /log\.level/],
    ['', {}, ['--set', 'log.levle=info'], /log\.levle.*log\.level/s],
    ['', {}, ['--set', 'nonsense'], /key=value|nonsense/],
    ['', {}, ['--drain-timeout', 'soon'], /soon/],
  ];
  for (const [toml, env, args, expected] of cases) {
    const daemon = spawnDaemon(homeWith(t, toml), { env, args });
    const { code } = await daemon.ended;
    assert.notEqual(code, 0, `${toml} ${JSON.stringify(env)} ${args}`);
    assert.match(daemon.stderr, expected);
  }
});
