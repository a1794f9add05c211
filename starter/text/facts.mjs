// What the starter text model learns, read from ingle as it is now: the help of the built command
// line, its configuration, docs/openapi.json, docs/errors.md and README.md. Prints JSON.
//   node starter/text/facts.mjs build/release/bin/ingle >facts.json
// Fails when a source no longer has the form that is read here, so that a fact cannot get lost.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, top), 'utf8');
const must = (condition, what) => {
  if (!condition) throw new Error(`starter/text/facts.mjs: ${what}`);
};

const LISTS = { POSITIONALS: 'positionals', OPTIONS: 'options', SUBCOMMANDS: 'commands' };

// One command as its help shows it: {about, positionals, options, commands}.
export const parse_help = (text) => {
  const found = { about: '', usage: '', positionals: [], options: [], commands: [] };
  let section = '';
  let last;
  for (const line of text.split('\n')) {
    const heading = line.match(/^([A-Z]+):$/);
    if (heading) {
      section = heading[1];
    } else if (line.startsWith('ingle ')) {
      found.usage = line.trim();
    } else if (!section && line.trim() && !found.about) {
      found.about = line.trim();
    } else if (section && last && /^ {30}\S/.test(line)) {
      last.about = `${last.about} ${line.trim()}`.trim();
    } else if (section && /^ {2}( {8})?\S/.test(line)) {
      // The meaning begins in column 30, or on the next line where the name is longer.
      const short = line[29] === ' ';
      const left = (short ? line.slice(0, 30) : line).trim().replace(/, +/g, ', ');
      const about = short ? line.slice(30).trim() : '';
      last = { left, about };
      found[LISTS[section]].push(last);
    } else if (/^\S/.test(line)) {
      section = section && 'FOOTER';
      last = undefined;
    }
  }
  return found;
};

const commands_of = (ingle, home) => {
  const help = (words) =>
    parse_help(execFileSync(ingle, [...words, '--help'], {
      encoding: 'utf8',
      env: { ...process.env, INGLE_HOME: home },
    }));
  const out = [];
  const walk = (words) => {
    const { about, usage, positionals, options, commands } = help(words);
    if (words.length > 0)
      out.push({
        name: ['ingle', ...words].join(' '),
        about,
        usage,
        positionals: positionals.map(({ left, about }) => ({ name: left.split(' ')[0], about })),
        options: options
          .map(({ left, about }) => ({
            left: left.replace(/ (Excludes|Needs):.*/, ''),
            about: about.replace(/^(\[[\d -]+\] |(--[a-z-]+ )+)/, ''),
          }))
          .map(({ left, about }) => ({
            flags: [...left.matchAll(/(?<![\w-])--?[a-z][a-z-]*/g)].map(([flag]) => flag),
            value: left.match(/\s([A-Z][A-Za-z=|-]*)(?::|\s|$)/)?.[1] ?? '',
            about,
          }))
          .map((option) => ({ ...option, flags: option.flags.filter((flag) => flag !== '-h') }))
          .filter(({ flags }) => !flags.includes('--help')),
        commands: commands.map(({ left }) => left),
      });
    for (const { left } of commands) walk([...words, left]);
  };
  walk([]);
  must(out.length > 15 && out.every(({ about }) => about), 'the help of commands reads otherwise');
  return out;
};

// The cells of the rows of the table whose first column is called `first_cell`.
const table = (markdown, first_cell) => {
  const lines = markdown.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${first_cell} |`));
  must(at >= 0, `no table with '${first_cell}'`);
  const rows = [];
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(line.split('|').slice(1, -1).map((cell) => cell.trim()));
  }
  return rows;
};

const errors = () => {
  const header = read('src/base/error.h');
  const block = header.slice(header.indexOf('enum class ErrorCode {'), header.indexOf('};'));
  const codes = [...block.matchAll(/^ {2}([a-z_]+),/gm)].map(([, code]) => code);
  must(codes.length > 20, 'src/base/error.h reads otherwise now');
  const rows = table(read('docs/errors.md'), 'code').map(([code, meaning, remedy]) => ({
    code: code.replaceAll('`', ''),
    meaning,
    remedy,
  }));
  const missing = codes.filter((code) => !rows.some((row) => row.code === code));
  const gone = rows.filter((row) => !codes.includes(row.code)).map(({ code }) => code);
  must(missing.length + gone.length === 0, `docs/errors.md lacks ${missing}, has ${gone} too much`);
  return rows;
};

const routes = () => {
  const { paths } = JSON.parse(read('docs/openapi.json'));
  return Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, { summary }]) => {
      must(summary, `docs/openapi.json has no summary of ${verb} ${path}`);
      return { method: verb.toUpperCase(), path, summary };
    }),
  );
};

// README.md as paragraphs of plain text and blocks of code, each with its heading.
const readme = () => {
  const out = [];
  let heading = '';
  let code;
  let paragraph = [];
  const flush = () => {
    if (paragraph.length > 0) out.push({ heading, text: paragraph.join(' ') });
    paragraph = [];
  };
  for (const line of read('README.md').split('\n')) {
    if (line.startsWith('```')) {
      flush();
      if (code) out.push({ heading, code: code.join('\n') });
      code = code ? undefined : [];
    } else if (code) code.push(line);
    else if (line.startsWith('#')) (flush(), (heading = line.replace(/^#+ /, '')));
    else if (line.startsWith('|') || !line.trim()) flush();
    else if (line.startsWith('- ')) (flush(), paragraph.push(line.slice(2)));
    else paragraph.push(line.trim());
  }
  flush();
  return out;
};

const keys_of = (ingle, home) => {
  const env = { PATH: process.env.PATH, INGLE_HOME: home }; // no key of the caller's
  const text = execFileSync(ingle, ['config', 'show', '--json'], { encoding: 'utf8', env });
  return JSON.parse(text).map(({ key, value, doc }) => ({
    key,
    default: value,
    doc,
    variable: `INGLE_${key.replace('.', '_').toUpperCase()}`,
  }));
};

export const facts_of = (ingle) => {
  const home = mkdtempSync(join(tmpdir(), 'ingle-facts-'));
  try {
    return {
      commands: commands_of(ingle, home),
      keys: keys_of(ingle, home),
      errors: errors(),
      routes: routes(),
      readme: readme(),
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  must(process.argv[2], 'usage: node starter/text/facts.mjs PATH_OF_INGLE');
  process.stdout.write(`${JSON.stringify(facts_of(process.argv[2]), null, 1)}\n`);
}
