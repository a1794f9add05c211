// tidy's checks: each takes the tree's files as [{path, text}] (and its rules) and returns
// findings as [{path, line, message}]. Pure, so that tidy.test.mjs can feed them bad inputs.
import { posix } from 'node:path';

import { blank, functions, includes } from './source.mjs';

const isCpp = (path) => /\.(h|cpp)$/.test(path);
const isHeader = (path) => path.endsWith('.h');
const isTest = (path) => /_(test|fuzz|bench)\.(cpp|h)$/.test(path);

// "src/http", "workers", "tests": the unit that edges are stated for.
function unitOf(path) {
  const parts = path.split('/');
  return parts[0] === 'src' ? parts.slice(0, 2).join('/') : parts[0];
}

export function edges(files, rules) {
  const known = new Set(files.map((file) => file.path));
  const rooms = new Set(Object.keys(rules).filter((unit) => unit.startsWith('src/')));
  const out = [];
  for (const { path, text } of files.filter((file) => isCpp(file.path))) {
    const unit = unitOf(path);
    const own = unit.startsWith('src/') ? unit.slice(4) : undefined;
    if (!(unit in rules)) {
      out.push({ path, line: 1, message: `${unit} has no line in EDGES (tests/tidy/rules.mjs)` });
      continue;
    }
    for (const { line, path: included, system } of includes(text)) {
      const room = included.split('/')[0];
      if (system || !included.includes('/') || !rooms.has(`src/${room}`)) {
        const beside = known.has(posix.join(posix.dirname(path), included));
        if (!system && own !== undefined && beside)
          out.push({ path, line, message: `write "${own}/${included}": includes start at src/` });
        continue;
      }
      const may = isTest(path) ? [...rules[unit], 'testing'] : rules[unit];
      if (room !== own && !may.includes(room))
        out.push({
          path,
          line,
          message:
            `${unit} may not include ${room}/ (it may: ` +
            `${may.join(', ') || 'nothing'}); the order of rooms is in ARCHITECTURE.md`,
        });
    }
  }
  return out;
}

export function heavy(files, rules) {
  const out = [];
  const privateHeaders = new Map();
  for (const rule of rules)
    for (const path of rule.files.filter(isHeader))
      privateHeaders.set(path.replace(/^src\//, ''), unitOf(path));
  for (const { path, text } of files.filter((file) => isCpp(file.path))) {
    for (const { line, path: included } of includes(text)) {
      const rule = rules.find(({ match }) => match.test(included));
      if (rule && !rule.files.includes(path))
        out.push({
          path,
          line,
          message:
            `<${included}> only in ` +
            `${rule.files.join(', ') || 'no file'} (HEAVY in tests/tidy/rules.mjs)`,
        });
      const owner = privateHeaders.get(included);
      if (owner && owner !== unitOf(path))
        out.push({
          path,
          line,
          message: `${included} wraps a heavy header and is private to ${owner}`,
        });
    }
  }
  for (const { match, files: listed } of rules)
    for (const path of listed) {
      const file = files.find((candidate) => candidate.path === path);
      if (!file || !includes(file.text).some((include) => match.test(include.path)))
        out.push({ path, line: 1, message: `no longer includes ${match}: take it off HEAVY` });
    }
  return out;
}

export function words(files, rules) {
  const out = [];
  const readable = files.filter((file) => /\.(h|cpp|c|mjs|sh|txt|cmake|sql)$/.test(file.path));
  for (const { path, text } of readable) {
    const code = isCpp(path) ? blank(text).split('\n') : text.split('\n');
    const full = text.split('\n');
    for (const rule of rules) {
      const spared = rule.files.some((part) => path.startsWith(part) || path.endsWith(part));
      if (spared || !rule.in.test(path)) continue;
      (rule.comments ? full : code).forEach((line, i) => {
        const found = rule.match.exec(line);
        if (found) out.push({ path, line: i + 1, message: `'${found[0].trim()}': ${rule.why}` });
      });
    }
  }
  return out;
}

// `recorded` is sizes.json: {files: {path: lines}, functions: {"path name": lines}}.
export function sizes(files, rules, recorded) {
  const out = [];
  const now = measure(files, rules);
  const judge = (kind, key, path, line, lines, soft) => {
    const limit = recorded[kind][key];
    if (limit === undefined)
      out.push({ path, line, message: `${key} has ${lines} lines, over ${soft}: split it` });
    else if (lines > limit)
      out.push({
        path,
        line,
        message: `${key} grew from ${limit} to ${lines} lines: it may only shrink`,
      });
  };
  for (const { path, lines } of now.files) {
    if (lines > rules.file_hard)
      out.push({ path, line: 1, message: `${lines} lines, over ${rules.file_hard}: split it` });
    else judge('files', path, path, 1, lines, rules.file_soft);
  }
  for (const { key, path, line, lines } of now.functions)
    judge('functions', key, path, line, lines, rules.function_soft);
  out.push(
    ...stale('files', recorded.files, new Map(now.files.map(({ path, lines }) => [path, lines]))),
  );
  out.push(
    ...stale(
      'functions',
      recorded.functions,
      new Map(now.functions.map(({ key, lines }) => [key, lines])),
    ),
  );
  for (const { path, text } of files.filter((file) => /\.(h|cpp|c|mjs)$/.test(file.path)))
    text.split('\n').forEach((line, i) => {
      if (line.length > rules.column_max && !/https?:\/\/|R"\(/.test(line) && !exempt(path, rules))
        out.push({
          path,
          line: i + 1,
          message: `${line.length} columns, over ${rules.column_max}`,
        });
    });
  return out;
}

const exempt = (path, rules) => rules.exempt.some((pattern) => pattern.test(path));

// What is over the soft limits now.
export function measure(files, rules) {
  const out = { files: [], functions: [] };
  const sized = /\.(h|cpp|c|mjs|ts|tsx|sh|cmake)$|CMakeLists\.txt$|(^|\/)dev$/;
  for (const { path, text } of files) {
    if (exempt(path, rules) || !sized.test(path)) continue;
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (lines > rules.file_soft) out.files.push({ path, lines });
    if (!isCpp(path)) continue;
    for (const { name, line, lines: length } of functions(text))
      if (length > rules.function_soft)
        out.functions.push({ key: `${path} ${name}`, path, line, lines: length });
  }
  return out;
}

function stale(kind, recorded, now) {
  return Object.entries(recorded)
    .filter(([key, limit]) => (now.get(key) ?? 0) < limit)
    .map(([key, limit]) => ({
      path: 'tests/tidy/sizes.json',
      line: 1,
      message:
        `${kind} '${key}' is ${now.get(key) ?? 'within the limit'} now, not ${limit}: ` +
        'run `node tests/tidy/tidy.mjs lower`',
    }));
}

// Markdown: one title, on the first line, and relative links that lead somewhere.
export function docs(files, exists) {
  const out = [];
  for (const { path, text } of files.filter((file) => file.path.endsWith('.md'))) {
    const lines = withoutFences(text);
    const titles = lines.flatMap((line, i) => (/^# \S/.test(line) ? [i + 1] : []));
    if (titles[0] !== 1) out.push({ path, line: 1, message: 'the first line is not "# Title"' });
    for (const line of titles.slice(1)) out.push({ path, line, message: 'a second "# Title"' });
    lines.forEach((line, i) => {
      for (const [, target] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^(\w+:|#)/.test(target)) continue;
        const file = posix.normalize(posix.join(posix.dirname(path), target.split('#')[0]));
        if (!exists(file))
          out.push({ path, line: i + 1, message: `the link to ${target} leads nowhere` });
      }
    });
  }
  return out;
}

function withoutFences(text) {
  let fenced = false;
  return text.split('\n').map((line) => {
    if (/^\s*```/.test(line)) fenced = !fenced;
    return fenced || /^\s*```/.test(line) ? '' : line;
  });
}

// Every `./dev X` and `ingle X` of the pages exists. `known` is {dev: Set, ingle: Set}.
export function commands(files, known) {
  const out = [];
  const call = /(?:^|[\s(|;&/])(?:\.\/)?(dev|ingle) +([a-z][\w-]*)/g;
  const pages = files.filter((file) => /^(README|CONTRIBUTING)\.md$/.test(file.path));
  for (const { path, text } of pages) {
    let fenced = false;
    text.split('\n').forEach((line, i) => {
      if (/^\s*```/.test(line)) fenced = !fenced;
      const code = fenced ? [line] : [...line.matchAll(/`([^`]+)`/g)].map((found) => found[1]);
      for (const piece of code)
        for (const [, tool, command] of piece.matchAll(call))
          if (!known[tool].has(command))
            out.push({ path, line: i + 1, message: `there is no command '${tool} ${command}'` });
    });
  }
  return out;
}

// `direct` are the libraries that bin/ingle names, `all` those that come in through them.
export function needed(path, direct, all, allowed, never) {
  const out = [];
  for (const name of direct)
    if (!allowed.some((pattern) => pattern.test(name)))
      out.push({ path, line: 1, message: `needs ${name}: not in NEEDED (tests/tidy/rules.mjs)` });
  for (const name of all)
    if (never.test(name)) out.push({ path, line: 1, message: `brings ${name} into the daemon` });
  return out;
}
