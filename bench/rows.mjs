// Figures: how they are told, and the small statistics that they need. Knows nothing of what is
// measured.

// A tenth of the rounds under INGLE_TEST_QUICK, to see that everything works.
export const rounds = (count) =>
  process.env.INGLE_TEST_QUICK ? Math.max(2, Math.round(count / 10)) : count;

export const say = (text) => process.stderr.write(`bench: ${text}\n`);

// {name, value, unit, target, met}: `target` is like ['<=', 15]; without one the row only informs.
export function row(name, value, unit, target) {
  if (!target) return { name, value, unit };
  const [relation, limit] = target;
  const met = relation === '<=' ? value <= limit : value >= limit;
  return { name, value, unit, target: `${relation} ${limit}`, met };
}

// Starts a new table: what its figures compare, and how.
export const section = (text) => ({ text });

// The least value that `share` of all are no larger than.
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
export const median = (values) => quantile(values, 0.5);
export const p95 = (values) => quantile(values, 0.95);

const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

function printTable(rows) {
  if (rows.length === 0) return;
  const cells = rows.map(({ name, value, unit, target, met }) => [
    name,
    `${Number.isInteger(value) ? value : number(value)} ${unit}`.trim(),
    target ?? '',
    target ? (met ? 'met' : 'NOT met') : '',
  ]);
  const head = ['figure', 'measured', 'target', ''];
  const widths = head.map((_, i) => Math.max(...[head, ...cells].map((line) => line[i].length)));
  for (const line of [head, widths.map((width) => '-'.repeat(width)), ...cells])
    console.log(`| ${line.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`);
}

// Rows and sections, in their order.
export function print(entries) {
  let table = [];
  for (const entry of entries) {
    if (entry.text === undefined) {
      table.push(entry);
      continue;
    }
    printTable(table);
    table = [];
    console.log(`\n${entry.text}\n`);
  }
  printTable(table);
}
