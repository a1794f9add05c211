// tidy: what the house holds of its own source, as ordinary tests.
//   node tests/tidy/tidy.mjs CHECK [build/NAME]
//     edges heavy words sizes docs format needed commands
//   node tests/tidy/tidy.mjs lower                writes sizes.json with today's smaller numbers
// Prints each finding as file:line and ends with 1 when there is one.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as checks from './checks.mjs';
import * as rules from './rules.mjs';

const TOP = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const SIZES_JSON = join(TOP, 'tests/tidy/sizes.json');

// Tracked files and new ones that git does not ignore.
function tree() {
  const git = ['-c', 'safe.directory=*', '-C', TOP, 'ls-files', '-co', '--exclude-standard', '-z'];
  return execFileSync('git', git, { encoding: 'utf8', maxBuffer: 1 << 26 })
    .split('\0')
    .filter((path) => path && existsSync(join(TOP, path)))
    .filter((path) => /\.(h|cpp|c|mjs|md|sh|txt|cmake|sql|ts|tsx)$|(^|\/)dev$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(TOP, path), 'utf8') }));
}

function format(files) {
  const paths = files.map((file) => file.path).filter((path) => /\.(h|cpp|c)$/.test(path));
  const options = { cwd: TOP, encoding: 'utf8', maxBuffer: 1 << 26 };
  const run = spawnSync('clang-format', ['-n', ...paths], options);
  if (run.error || run.status !== 0) throw run.error ?? new Error(run.stderr);
  const out = new Map();
  for (const [, path, line] of run.stderr.matchAll(/^(\S+?):(\d+):\d+: warning:/gm))
    if (!out.has(path))
      out.set(path, { path, line: Number(line), message: 'not formatted: run ./dev fmt' });
  return [...out.values()];
}

function needed(build) {
  const binary = join(build, 'bin/ingle');
  const elf = execFileSync('readelf', ['-d', binary], { encoding: 'utf8' });
  const direct = [...elf.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((found) => found[1]);
  const all = execFileSync('ldd', [binary], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s/)[0])
    .filter(Boolean);
  if (!direct.some((name) => name.startsWith('libc.so'))) throw new Error(`readelf says: ${elf}`);
  return checks.needed(binary, direct, all, rules.NEEDED, rules.NEVER_NEEDED);
}

function commands(files, build) {
  const usage = execFileSync(join(TOP, 'dev'), ['help'], { encoding: 'utf8' });
  const help = execFileSync(join(build, 'bin/ingle'), ['--help'], { encoding: 'utf8' });
  const names = (text) =>
    new Set([...text.matchAll(/^ {2}([a-z][\w-]*)\b/gm)].map((found) => found[1]));
  return checks.commands(files, { dev: names(usage), ingle: names(help) });
}

function lower(files) {
  const old = JSON.parse(readFileSync(SIZES_JSON, 'utf8'));
  const now = checks.measure(files, rules.SIZES);
  const kept = (recorded, entries) =>
    Object.fromEntries(
      entries
        .filter(([key]) => key in recorded)
        .map(([key, lines]) => [key, Math.min(lines, recorded[key])])
        .sort(),
    );
  writeFileSync(
    SIZES_JSON,
    JSON.stringify(
      {
        files: kept(
          old.files,
          now.files.map(({ path, lines }) => [path, lines]),
        ),
        functions: kept(
          old.functions,
          now.functions.map(({ key, lines }) => [key, lines]),
        ),
      },
      null,
      2,
    ) + '\n',
  );
  return [];
}

const [check, build = 'build/dev'] = process.argv.slice(2);
const files = tree();
const table = {
  edges: () => checks.edges(files, rules.EDGES),
  heavy: () => checks.heavy(files, rules.HEAVY),
  words: () => checks.words(files, rules.WORDS),
  sizes: () => checks.sizes(files, rules.SIZES, JSON.parse(readFileSync(SIZES_JSON, 'utf8'))),
  docs: () => checks.docs(files, (path) => existsSync(join(TOP, path))),
  format: () => format(files),
  needed: () => needed(resolve(build)),
  commands: () => commands(files, resolve(build)),
  lower: () => lower(files),
};
if (!(check in table)) {
  console.error(`tidy: say which check: ${Object.keys(table).join(' ')}`);
  process.exit(2);
}
const findings = table[check]();
for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
console.log(`tidy ${check}: ${findings.length} findings in ${files.length} files`);
process.exit(findings.length ? 1 : 0);
