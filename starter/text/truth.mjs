// Whether what an answer names is there: commands, flags, keys, error codes, paths, variables.
import { readFileSync } from 'node:fs';

// Text in which a name may stand that no list has, such as a folder or a job's path.
const prose = ['README.md', 'docs/errors.md']
  .map((path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'))
  .join('\n');

// `facts`: of facts.mjs, from the program as built. A function from an answer to the names in it
// that are nowhere.
export const lies_finder = (facts) => {
  const commands = new Set(facts.commands.map(({ name }) => name));
  const groups = new Set(
    facts.commands.filter(({ commands: subs }) => subs.length > 0).map(({ name }) => name),
  );
  const options = facts.commands.flatMap((command) => command.options);
  const flags = new Set(options.flatMap((option) => option.flags));
  flags.add('--help').add('--version');
  const keys = new Set(facts.keys.map(({ key }) => key));
  const sections = [...new Set(facts.keys.map(({ key }) => key.split('.')[0]))].join('|');
  const variables = new Set(facts.keys.map(({ variable }) => variable));
  const codes = new Set(facts.errors.map(({ code }) => code));
  const routes = new Set(facts.routes.map(({ path }) => path));

  const is_command = (text) => {
    const [first, second] = text.split(' ');
    if (first === 'help') return true;
    if (!commands.has(`ingle ${first}`)) return false;
    const takes_sub = groups.has(`ingle ${first}`) && /^[a-z]+$/.test(second ?? '');
    return !takes_sub || commands.has(`ingle ${first} ${second}`);
  };
  const rules = [
    [/`ingle ([a-z-]+(?: [a-z]+)?)/g, is_command],
    [/(?<![\w-])(--[a-z][a-z-]*)/g, (flag) => flags.has(flag) || prose.includes(flag)],
    [
      new RegExp(`\\b((?:${sections})\\.[a-z_]+)`, 'g'),
      (key) => keys.has(key) || prose.includes(key),
    ],
    [/`([a-z]+(?:_[a-z]+)+)`/g, (code) => codes.has(code)],
    [/\b(INGLE_[A-Z_]+)/g, (name) => variables.has(name) || prose.includes(name)],
    [/(?<![\w.~*])(\/(?:api|v1|sdapi|livez|readyz|metrics)[\w/{}-]*(?:\.json)?)/g,
      (path) => routes.has(path) || prose.includes(path)],
    [
      /(~\/[\w./-]*\w\/?)/g,
      (path) => prose.includes(path) || prose.includes(path.replace(/[^/]+\/?$/, '')),
    ],
  ];
  return (answer) =>
    rules.flatMap(([pattern, is_real]) =>
      [...answer.matchAll(pattern)].map(([, name]) => name).filter((name) => !is_real(name)));
};

// Whether an answer has everything that it must; quotes and backticks do not count.
export const holds = (answer, must) => {
  const plain = (text) => text.replaceAll('`', '').toLowerCase();
  return must.every((part) => plain(answer).includes(plain(part)));
};
