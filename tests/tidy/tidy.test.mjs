// Goal: tidy's checks fail on what they are there to catch, and name the line. Method: each check
// runs over a small tree written here, once good and once bad.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as checks from './checks.mjs';
import { SIZES, WORDS } from './rules.mjs';
import { blank, functions } from './source.mjs';

const tree = (files) => Object.entries(files).map(([path, text]) => ({ path, text }));
const at = (findings) => findings.map(({ path, line }) => `${path}:${line}`);

const EDGES = {
  'src/base': [],
  'src/http': ['base'],
  'src/api': ['base', 'http'],
  workers: ['base'],
};

test('edges: only those of the table', () => {
  const good = tree({
    'src/base/a.h': '#pragma once\n#include <string>\n',
    'src/http/b.cpp': '#include "http/b.h"\n#include "base/a.h"\n',
    'src/http/b_test.cpp': '#include "testing/fake.h"\n',
  });
  const rules = { ...EDGES, 'src/testing': [] };
  assert.deepEqual(checks.edges(good, rules), []);
  const bad = tree({
    'src/base/a.h': '#include "http/b.h"\n',
    'src/http/b.cpp': '// why\n#include "api/c.h"\n',
    'src/http/b_test.cpp': '#include "api/c.h"\n',
    'src/http/b.h': '#include "testing/fake.h"\n',
    'workers/fake/main.cpp': '#include "http/b.h"\n',
    'src/new/d.cpp': '#include "base/a.h"\n',
  });
  assert.deepEqual(at(checks.edges(bad, rules)), [
    'src/base/a.h:1',
    'src/http/b.cpp:2',
    'src/http/b_test.cpp:1',
    'src/http/b.h:1',
    'workers/fake/main.cpp:1',
    'src/new/d.cpp:1',
  ]);
});

test('edges: an include by bare name says how to write it', () => {
  const [finding] = checks.edges(
    tree({ 'src/http/b.cpp': '#include "b.h"\n', 'src/http/b.h': '' }),
    EDGES,
  );
  assert.match(finding.message, /write "http\/b.h"/);
});

test('heavy: only the listed files, and their headers stay in the room', () => {
  const rules = [{ match: /^boost\//, files: ['src/http/beast.h'] }];
  const good = tree({
    'src/http/beast.h': '#include <boost/beast.hpp>\n',
    'src/http/b.cpp': '#include "http/beast.h"\n',
  });
  assert.deepEqual(checks.heavy(good, rules), []);
  const bad = tree({
    'src/http/beast.h': '#include <boost/beast.hpp>\n',
    'src/http/b.cpp': '\n#include <boost/asio.hpp>\n',
    'src/api/c.cpp': '#include "http/beast.h"\n',
  });
  assert.deepEqual(at(checks.heavy(bad, rules)), ['src/http/b.cpp:2', 'src/api/c.cpp:1']);
  const gone = tree({ 'src/http/beast.h': '\n' });
  assert.match(checks.heavy(gone, rules)[0].message, /take it off/);
});

test('words: in code, not in comments and strings', () => {
  const good = tree({
    'src/http/a.cpp': '// we never throw\nconst char* s = "std::thread";\nstd::thread::id id;\n',
  });
  assert.deepEqual(checks.words(good, WORDS), []);
  const lines = [
    'std::cout << 1;',
    'throw 1;',
    'std::thread t;',
    '::system("rm");',
    'getaddrinfo(a, b, c, d);',
    'usleep(5);',
    'auto t = std::chrono::steady_clock::now();',
    `// TO${'DO'}: later`,
  ];
  const bad = tree({ 'src/http/a.cpp': lines.join('\n') });
  assert.deepEqual(
    checks
      .words(bad, WORDS)
      .map((finding) => finding.line)
      .sort(),
    lines.map((_, i) => i + 1),
  );
});

test('sizes: over the limit, grown, shrunk', () => {
  const long = (lines) => 'int x;\n'.repeat(lines);
  const none = { files: {}, functions: {} };
  assert.deepEqual(checks.sizes(tree({ 'src/a/a.cpp': long(600) }), SIZES, none), []);
  const seven = tree({ 'src/a/a.cpp': long(700) });
  assert.match(checks.sizes(seven, SIZES, none)[0].message, /split it/);
  const kept = (lines) => ({ files: { 'src/a/a.cpp': lines }, functions: {} });
  assert.deepEqual(checks.sizes(seven, SIZES, kept(700)), []);
  assert.match(checks.sizes(seven, SIZES, kept(650))[0].message, /may only shrink/);
  assert.match(checks.sizes(seven, SIZES, kept(720))[0].message, /lower/);
  const hard = checks.sizes(tree({ 'src/a/a.cpp': long(1001) }), SIZES, kept(1001));
  assert.match(hard[0].message, /over 1000/);
  const wide = tree({ 'src/a/a.cpp': `int ${'x'.repeat(100)};\n` });
  assert.deepEqual(at(checks.sizes(wide, SIZES, none)), ['src/a/a.cpp:1']);
});

test('sizes: a long function is named with its line', () => {
  const body = '  x += 1;\n'.repeat(70);
  const text =
    'namespace a {\n\nint short_one() { return 1; }\n\n' +
    `void B::long_one(int x) {\n${body}}\n}\n`;
  const none = { files: {}, functions: {} };
  const [finding] = checks.sizes(tree({ 'src/a/a.cpp': text }), SIZES, none);
  assert.match(finding.message, /long_one has 72 lines/);
  assert.equal(finding.line, 5);
  const kept = { files: {}, functions: { 'src/a/a.cpp B::long_one': 72 } };
  assert.deepEqual(checks.sizes(tree({ 'src/a/a.cpp': text }), SIZES, kept), []);
});

test('functions: found in classes, with initialisers, lambdas, templates and attributes', () => {
  const text = `
#define MACRO(x) { x }
struct [[=Doc("a (b)")]] S {
  int field{3};
  S(int a, int b) : a_(a), b_{b} {
    run();
  }
  void done() override { call({1, 2}, [] { return 3; }); }
};
enum class E { a, b };
template <class T>
  requires(sizeof(T) > 1)
T twice(T x) {
  const char* brace = "{";
  if (x) { return x; }
  return R"(})" [0];
}
constexpr int kTable[] = {1, 2};
TEST(Room, does_it) {
}
bool operator==(const S& a, const S& b) { return true; }
`;
  const found = functions(text).map(({ name, line, lines }) => `${name} ${line} ${lines}`);
  assert.deepEqual(found, [
    'S 5 3',
    'done 8 1',
    'twice 11 7',
    'TEST(Room, does_it) 19 2',
    'operator== 21 1',
  ]);
});

test('blank keeps lines and digit separators', () => {
  assert.equal(
    blank("int a = 1'000'000; // it's\nchar c = '\\'';"),
    `int a = 1'000'000; ${' '.repeat(7)}\nchar c = ${' '.repeat(4)};`,
  );
});

test('docs: one title and links that lead somewhere', () => {
  const exists = (path) => ['docs/a.md', 'README.md'].includes(path);
  const good = tree({
    'docs/a.md':
      '# A\n[up](../README.md) [web](https://x.y) [here](#a)\n' + '```\n# a comment\n```\n',
  });
  assert.deepEqual(checks.docs(good, exists), []);
  const bad = tree({ 'docs/a.md': 'text\n# A\n# B\n[gone](b.md)\n' });
  assert.deepEqual(at(checks.docs(bad, exists)), ['docs/a.md:1', 'docs/a.md:3', 'docs/a.md:4']);
});

test('commands: those of the pages exist', () => {
  const known = { dev: new Set(['run']), ingle: new Set(['serve']) };
  const good = tree({
    'README.md': '`./dev run`, then `ingle serve --port 1`\n```\n./dev run\n```\n',
  });
  assert.deepEqual(checks.commands(good, known), []);
  const bad = tree({ 'README.md': '`./dev fly`\n```\ncurl x | ingle dance\n```\n' });
  assert.deepEqual(at(checks.commands(bad, known)), ['README.md:1', 'README.md:3']);
});

test('needed: off the list, and never through another', () => {
  const allowed = [/^libc\.so/];
  assert.deepEqual(checks.needed('x', ['libc.so.6'], ['libc.so.6'], allowed, /ggml/), []);
  const bad = checks.needed(
    'x',
    ['libc.so.6', 'libz.so.1'],
    ['libggml-base.so.0'],
    allowed,
    /ggml/,
  );
  assert.deepEqual(
    bad.map(({ message }) => /libz|libggml/.exec(message)[0]),
    ['libz', 'libggml'],
  );
});
