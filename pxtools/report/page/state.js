// What the reader has chosen, kept in the address after #; every part of the page listens to it.
const has = (name) => columns.has(name);
const numeric = data.columns.filter((column) => ["number", "whole"].includes(column.kind)).map((c) => c.name);
const DEFAULTS = {
  filter: "", sort: has("rank") ? "rank" : "", chosen: "", stars: new Set(), hide: new Set(), tab: "scatter",
  x: has("contacts") ? "contacts" : numeric[0] || "", y: has("rg") ? "rg" : numeric[1] || numeric[0] || "",
  paint: several ? "run" : "checks", colour: "chain", beside: "none", surface: null, frequency: false, theme: "",
};
const SHORT = { filter: "f", sort: "s", chosen: "d", stars: "star", hide: "hide", tab: "tab", x: "x", y: "y",
  paint: "p", colour: "c", beside: "b", surface: "surf", frequency: "freq", theme: "th" };
const state = { ...DEFAULTS };
const listeners = [];
let shownRows = rows; // filtered and sorted
let problem = "";
let written = "";

const on = (keys, act) => listeners.push({ keys: keys.split(" "), act });

function change(changes) {
  Object.assign(state, changes);
  const changed = new Set(Object.keys(changes));
  if (changed.has("filter") || changed.has("sort") || (changed.has("stars") && state.filter.includes("starred"))) {
    select();
    changed.add("rows");
    if (shownRows.length && !shownRows.includes(chosenRow())) { // the view shows one of the table's
      state.chosen = shownRows[0].key;
      changed.add("chosen");
    }
  }
  for (const { keys, act } of listeners) if (keys.some((key) => changed.has(key))) act(changed);
  written = toHash();
  if (location.hash.slice(1) !== written) history.replaceState(null, "", `#${written}`);
}

function select() {
  const { test, problem: wrong } = parseFilter(state.filter);
  problem = wrong || "";
  if (test) shownRows = rows.filter(test);
  shownRows = sorted(shownRows, state.sort);
}

// `-helix,rank`: by helix, most first, then by rank; empty cells last, equal ones by name.
function sorted(list, sort) {
  const keys = sort.split(",").filter(Boolean).map((key) =>
    key.startsWith("-") ? { name: key.slice(1), way: -1 } : { name: key, way: 1 });
  return [...list].sort((a, b) => {
    for (const { name, way } of keys) {
      const [x, y] = [sortValue(a, name), sortValue(b, name)];
      if (x === y) continue;
      if (x === null || y === null) return x === null ? 1 : -1;
      const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      if (order) return way * order;
    }
    return a.i - b.i;
  });
}

function sortValue(row, name) {
  if (name === "starred") return state.stars.has(row.key) ? 0 : 1;
  if (name === "design") return row.name;
  if (name === "run") return row.run.label;
  return row.values[name] ?? null;
}

function toHash() {
  const parts = [];
  for (const [key, short] of Object.entries(SHORT)) {
    const value = state[key], first = DEFAULTS[key];
    if (value instanceof Set) {
      if (value.size) parts.push(`${short}=${[...value].map(encodeURIComponent).join(",")}`);
    } else if (value !== first) parts.push(`${short}=${encodeURIComponent(String(value))}`);
  }
  return parts.join("&");
}

function fromHash(hash) {
  const found = { ...DEFAULTS, stars: new Set(), hide: new Set() };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [short, ...rest] = part.split("=");
    const key = Object.keys(SHORT).find((name) => SHORT[name] === short);
    if (!key) continue;
    let text = rest.join("=");
    try {
      if (found[key] instanceof Set) found[key] = new Set(text.split(",").map(decodeURIComponent));
      else if (typeof DEFAULTS[key] === "boolean" || key === "surface") found[key] = text === "true";
      else found[key] = decodeURIComponent(text);
    } catch { /* not ours: a broken escape is left out */ }
  }
  found.stars = new Set([...found.stars].filter((key) => byKey.has(key)));
  for (const axis of ["x", "y"]) if (!numeric.includes(found[axis])) found[axis] = DEFAULTS[axis];
  return found;
}

window.addEventListener("hashchange", () => {
  if (location.hash.slice(1) !== written) change(fromHash(location.hash));
});

const chosenRow = () => byKey.get(state.chosen) || null;
const choose = (row) => row && row.key !== state.chosen && change({ chosen: row.key });
function star(row) {
  const stars = new Set(state.stars);
  if (!stars.delete(row.key)) stars.add(row.key);
  change({ stars });
}

// An element; text is always text, never HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
const by = (id) => document.getElementById(id);
