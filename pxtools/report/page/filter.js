// Filters in words: `helix>0.5 contacts=30..60 failed= touches=A0:15 LKE`; every term must hold.
const EXPRESSION = /^([A-Za-z_]\w*(?:[+/][A-Za-z_]\w*)*)(>=|<=|!=|=|>|<|~)(.*)$/;
const EXTRA = ["design", "run", "starred", "touches", "sequence"];

// {test, problem}: a function of a row, or what is wrong in one line.
function parseFilter(text) {
  const tests = [];
  for (const word of text.match(/(?:[^\s"]|"[^"]*")+/g) || []) {
    const term = EXPRESSION.exec(word);
    if (!term) { tests.push(nameHolds(word.replaceAll('"', ""))); continue; }
    const [, left, sign, right] = term;
    const unknown = left.split(/[+/]/).find((name) => !columns.has(name) && !EXTRA.includes(name));
    if (unknown) return { problem: `no column ${unknown}${nearest(unknown)}` };
    const test = termTest(left, sign, right.replaceAll('"', ""));
    if (typeof test === "string") return { problem: test };
    tests.push(test);
  }
  return { test: (row) => tests.every((test) => test(row)) };
}

function nameHolds(word) {
  const small = word.toLowerCase();
  return (row) => row.key.toLowerCase().includes(small) || lettersOf(row).toLowerCase().includes(small);
}

function termTest(left, sign, right) {
  if (isNumeric(left)) return numberTest(left, sign, right);
  if (!["=", "!=", "~"].includes(sign)) return `${left} holds text: use =, != or ~ (contains)`;
  const wanted = right.toLowerCase().split(",");
  const holds = (row) => {
    const words = textOf(row, left);
    if (sign === "~") return wanted.some((part) => words.some((word) => word.includes(part)));
    return right === "" ? words.length === 0 : wanted.some((part) => words.includes(part));
  };
  return sign === "!=" ? (row) => !holds(row) : holds;
}

const isNumeric = (left) =>
  left === "starred" || left.split(/[+/]/).every((name) => ["number", "whole"].includes(columns.get(name)?.kind));

function textOf(row, left) {
  if (left === "touches") return touches(row).map((r) => residueId(targetOf(row), r).toLowerCase());
  const text = { design: row.name, run: row.run.label, sequence: lettersOf(row) }[left] ?? row.values[left] ?? "";
  const small = String(text).toLowerCase();
  return columns.get(left)?.kind === "words" ? small.split(" ").filter(Boolean) : small ? [small] : [];
}

// The value of a column, or of columns joined by + and /; null where one is empty.
function valueOf(row, left) {
  if (left === "starred") return Number(state.stars.has(row.key));
  let total = null, sign = "+";
  for (const part of left.split(/([+/])/)) {
    if (part === "+" || part === "/") { sign = part; continue; }
    const value = row.values[part];
    if (value === null || value === undefined) return null;
    total = total === null ? value : sign === "+" ? total + value : total / value;
  }
  return total;
}

function numberTest(left, sign, right) {
  const value = (row) => valueOf(row, left);
  if (right === "") return sign === "=" ? (row) => value(row) === null : (row) => value(row) !== null;
  const range = /^(.*?)\.\.(.*)$/.exec(right);
  if (range && sign === "=") {
    const [low, high] = [range[1] === "" ? -Infinity : Number(range[1]), range[2] === "" ? Infinity : Number(range[2])];
    if (Number.isNaN(low) || Number.isNaN(high)) return `${left}=${right}: a range is two numbers, such as 30..60`;
    return (row) => value(row) !== null && value(row) >= low && value(row) <= high;
  }
  const numbers = right.split(",").map(Number);
  if (numbers.some(Number.isNaN)) return `${left}${sign}${right}: expected a number`;
  const [limit] = numbers;
  const same = (v) => v !== null && right.split(",").some((text) => Math.abs(v - Number(text)) <= slack(text));
  const tests = {
    "=": same, "!=": (v) => !same(v),
    ">": (v) => v !== null && v > limit, "<": (v) => v !== null && v < limit,
    ">=": (v) => v !== null && v >= limit, "<=": (v) => v !== null && v <= limit,
  };
  return tests[sign] ? (row) => tests[sign](value(row)) : `${left} holds numbers: use = < > or a range`;
}

// 0.67 equals what is shown as 0.67; a whole number equals itself only.
const slack = (text) => (text.includes(".") ? 0.5 * 10 ** -text.split(".")[1].length : 0) + 1e-9;

function nearest(name) {
  const all = [...columns.keys(), ...EXTRA];
  const [best, far] = all.map((known) => [known, distance(name, known)]).sort((a, b) => a[1] - b[1])[0];
  return far <= Math.max(2, name.length / 2) ? `; did you mean ${best}?` : `; there are ${all.slice(0, 6).join(", ")} …`;
}

function distance(a, b) {
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const line = [i];
    for (let j = 1; j <= b.length; j++)
      line.push(Math.min(last[j] + 1, line[j - 1] + 1, last[j - 1] + (a[i - 1] !== b[j - 1])));
    last = line;
  }
  return b.startsWith(a) ? 0 : last[b.length];
}

// Sets `left=low..high` in a filter's text, or takes the term out.
function withTerm(text, left, right) {
  const words = (text.match(/(?:[^\s"]|"[^"]*")+/g) || []).filter((word) => EXPRESSION.exec(word)?.[1] !== left);
  if (right !== null) words.push(`${left}=${right}`);
  return words.join(" ");
}
const termOf = (text, left) =>
  (text.match(/(?:[^\s"]|"[^"]*")+/g) || []).map((word) => EXPRESSION.exec(word)).find((m) => m?.[1] === left)?.[3] ?? null;
