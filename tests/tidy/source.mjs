// Reading C++ just far enough for tidy: comments and strings blanked out (lines keep their
// numbers), includes, and functions with their lengths. Pure.

// The source with comments, string and character literals replaced by spaces.
export function blank(text) {
  const pattern =
    /\/\/[^\n]*|\/\*[^]*?\*\/|R"([^\s()\\]{0,16})\([^]*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'/g;
  return blankOut(text, pattern);
}

function blankOut(text, pattern) {
  return text.replace(pattern, (found) => found.replace(/[^\n]/g, ' '));
}

// [{line, path, system}] of every #include.
export function includes(text) {
  const out = [];
  text.split('\n').forEach((line, i) => {
    const found = /^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)/.exec(line);
    if (found)
      out.push({ line: i + 1, path: found[1] ?? found[2], system: found[2] !== undefined });
  });
  return out;
}

const NOT_A_FUNCTION = /^\s*(if|for|while|switch|catch|namespace|enum|extern)\b|=\s*$|\breturn\b/;
const TYPE_OR_SPACE = /^\s*((export|inline)\s+)*(namespace|class|struct|union|enum|extern\s*)\b/;

function kindOf(header) {
  const clean = header.replace(/template\s*<[^{]*?>\s*(?=(class|struct|union)\b)/g, '');
  const bare = clean.replace(/\[\[[^\]]*\]\]/g, '').replace(/alignas\s*\([^)]*\)/g, '');
  if (/^\s*(inline\s+)?namespace\b/.test(bare)) return 'space';
  if (TYPE_OR_SPACE.test(bare) && !bare.includes('(')) return 'space';
  if (bare.includes('(') && !NOT_A_FUNCTION.test(bare)) return 'function';
  return 'other';
}

function nameOf(header) {
  const bare = header.replace(/\brequires\s*\([^()]*(\([^()]*\)[^()]*)*\)/g, '');
  const found = /(operator\s*[^\s\w]+|operator\s+\w+|[\w:~]+)\s*\(/.exec(bare);
  if (!found) return '?';
  const test = /^TEST(_F|_P)?$/.test(found[1]) && /\(([^)]*)\)/.exec(bare);
  return test ? `${found[1]}(${test[1].replace(/\s+/g, ' ')})` : found[1];
}

// [{name, line, lines}] of every function with a body; lambdas count with the function around them.
export function functions(text) {
  const code = blankOut(blank(text), /^[ \t]*#(?:[^\n\\]|\\[^])*/gm);
  const out = [];
  const stack = [];
  let header = '';
  let headerLine = 1;
  let line = 1;
  for (const [i, c] of [...code].entries()) {
    if (c === '\n') line += 1;
    const inside = stack.some((scope) => scope.kind === 'function');
    if (c === '{') {
      const initialiser = /[\w>]/.test(code[i - 1] ?? '') && header.includes('(');
      const kind = inside ? 'block' : initialiser ? 'initialiser' : kindOf(header);
      stack.push({ kind, name: nameOf(header), line: headerLine });
      if (kind !== 'initialiser') header = '';
    } else if (c === '}') {
      const scope = stack.pop();
      if (scope?.kind === 'function')
        out.push({ name: scope.name, line: scope.line, lines: line - scope.line + 1 });
      if (scope?.kind !== 'initialiser') header = '';
    } else if (c === ';' && !inside && !openParen(header)) {
      header = '';
    } else {
      if (header.trim() === '' && /\S/.test(c)) [header, headerLine] = ['', line];
      header += c;
      if (/^\s*(public|private|protected)\s*:$/.test(header)) header = '';
    }
  }
  return out;
}

function openParen(header) {
  return (header.match(/\(/g)?.length ?? 0) > (header.match(/\)/g)?.length ?? 0);
}
