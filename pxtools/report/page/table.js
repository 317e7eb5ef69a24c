// The table: only the cells in view are in the document, so that thousands of rows scroll smoothly.
const ROW = 30, SPARE = 12, PRINTED = 300, MOST = 30; // MOST: letters of a column
const ASIDE = 400; // pixels beside the view that are drawn
const FIXED = 2; // columns that stay in view
const box = by("rows");
let body, above, below, inBody = {}, columnsDrawn = []; // columnsDrawn: each with its head, width and maker of cells

const tableColumns = () => data.columns.filter((column) => !state.hide.has(column.name));
const isNumber = (column) => column.kind === "number" || column.kind === "whole";

// The table's columns: what this page adds, then the data's.
function columnsToDraw() {
  const wide = (letters) => `calc(${letters}ch + 22px)`;
  const star = { head: head({ name: "starred", label: "★", meaning: "starred", unit: "" }, "stick text"), width: "34px", cell: starCell };
  const design = { head: head({ name: "design", meaning: "the design's name", unit: "" }, "stick2 text"),
    width: wide(widthOf("design", (row) => row.name)), cell: (row) => element("td", { class: "stick2 text", title: row.key }, row.name) };
  const run = { head: head({ name: "run", meaning: "where the design comes from", unit: "" }, "text"),
    width: wide(widthOf("run", (row) => row.run.label)), cell: (row) => element("td", { class: "text" }, row.run.label) };
  const others = tableColumns().map((column) => ({ head: head(column, isNumber(column) ? "" : "text"),
    width: wide(widthOf(column.name, (row) => row.values[column.name], column)), cell: (row) => cell(column, row.values[column.name]) }));
  return [star, design, ...(several ? [run] : []), ...others];
}

function drawTable() {
  columnsDrawn = columnsToDraw();
  body = element("tbody");
  [above, below] = [0, 1].map(() => element("tr", { class: "spacer", "aria-hidden": "true" }, element("td", { colspan: columnsDrawn.length })));
  const widths = columnsDrawn.map((column) => column.width);
  box.replaceChildren(element("table", { "aria-rowcount": shownRows.length + 1, style: `width:calc(${widths.join(" + ")})` },
    element("colgroup", {}, ...widths.map((width) => element("col", { style: `width:${width}` }))),
    element("thead", {}, element("tr", {}, ...columnsDrawn.map((column) => column.head))), body));
  drawRows(true);
}

// Widths that hold for all rows: the browser lays out what scrolls in without looking at the rest.
const widest = new Map();
function widthOf(name, valueIn, column = { kind: "text", unit: "" }) {
  if (!widest.has(name)) {
    const length = (row) => shown(column, valueIn(row) ?? null).length;
    const chips = (row) => 2.5 * String(valueIn(row) || "none").split(" ").length;
    const cells = rows.map((row) => length(row) + (column.kind === "words" ? chips(row) : 0));
    const bar = column.unit === "fraction" && !name.endsWith("_off") ? 5 : 0;
    const inside = Math.max(4, ...cells) + bar; // the heads' letters are smaller
    widest.set(name, Math.max(0.9 * (name.length + 2), Math.min(inside, name === "sequence" ? MOST / 2 : MOST)));
  }
  return widest.get(name);
}

function head(column, kind) {
  const sort = state.sort.split(",")[0];
  const way = sort === column.name ? "ascending" : sort === `-${column.name}` ? "descending" : null;
  const mark = way ? (way === "ascending" ? " ↑" : " ↓") : "";
  const title = `${column.meaning}${column.unit ? ` (${column.unit})` : ""}`;
  return element("th", { scope: "col", class: kind, "aria-sort": way },
    element("button", { type: "button", title, "data-column": column.name, "aria-label": `Sort by ${column.name}`,
      onclick: (event) => sortBy(column, event.shiftKey) }, (column.label || column.name) + mark));
}

// Numbers start with the largest, ranks and names with the smallest; Shift adds to the order.
function sortBy(column, add) {
  const { name } = column;
  const before = state.sort.split(",").filter(Boolean);
  const largest = isNumber(column) && !["rank", "cluster", "fold"].includes(name);
  const first = largest ? `-${name}` : name, second = largest ? name : `-${name}`;
  const next = before.includes(first) ? second : first;
  const others = add ? before.filter((key) => key !== first && key !== second) : [];
  change({ sort: [...others, next].join(",") });
}

// The rows and columns, [from, to), that are in view or just beside it.
function inView() {
  if (box.dataset.printing) return { rows: [0, Math.min(PRINTED, shownRows.length)], columns: [FIXED, columnsDrawn.length] };
  const from = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
  const to = Math.min(shownRows.length, from + Math.ceil(box.clientHeight / ROW) + 2 * SPARE);
  let right = 0;
  const ends = columnsDrawn.map((column) => (right += column.head.offsetWidth));
  const before = ends.filter((end) => end < box.scrollLeft - ASIDE).length;
  const until = ends.filter((end) => end < box.scrollLeft + box.clientWidth + ASIDE).length + 1;
  return { rows: [from, to], columns: [Math.max(FIXED, before), Math.min(columnsDrawn.length, until)] };
}

function drawRows(anew = false) {
  const near = (place, since, room) => Math.abs(place - since) < room;
  if (!anew && near(box.scrollTop, inBody.top, ROW * SPARE / 2) && near(box.scrollLeft, inBody.left, ASIDE / 2)) return;
  const { rows: [from, to], columns } = inView();
  const same = !anew && columns.join() === inBody.columns.join();
  inBody = { top: box.scrollTop, left: box.scrollLeft, columns };
  const there = new Map(same ? [...body.children].map((made) => [made.dataset.key, made]) : []);
  const made = shownRows.slice(from, to).map((row, i) => there.get(row.key) || rowOf(row, from + i, columns));
  const after = box.dataset.printing ? 0 : shownRows.length - to;
  above.firstChild.style.height = `${from * ROW}px`;
  below.firstChild.style.height = `${after * ROW}px`;
  fill(body, [above, ...made, below]);
  if (!shownRows.length) body.append(element("tr", {}, element("td", { colspan: columnsDrawn.length, class: "nothing text" },
    rows.length ? "No design passes this filter." : "No designs yet.")));
}

// As replaceChildren, but what stays is not touched, nor laid out again.
function fill(parent, children) {
  const kept = new Set(children);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  children.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] || null);
  });
}

function rowOf(row, index, [from, to]) {
  const empty = (n) => (n ? [element("td", { colspan: n })] : []);
  const made = (...range) => columnsDrawn.slice(...range).map((column) => column.cell(row));
  const cells = [...made(0, FIXED), ...empty(from - FIXED), ...made(from, to), ...empty(columnsDrawn.length - to)];
  return element("tr", { "aria-rowindex": index + 2, "aria-selected": String(row.key === state.chosen), "data-key": row.key,
    onclick: () => choose(row) }, ...cells);
}

function starCell(row) {
  const starred = state.stars.has(row.key);
  return element("td", { class: "stick text" }, element("button", { type: "button", class: "star", tabindex: -1, "aria-pressed": String(starred),
    "aria-label": `Star ${row.name}`, onclick: (event) => { event.stopPropagation(); star(row); } }, starred ? "★" : "☆"));
}

function cell(column, value) {
  if (column.kind === "words") {
    const words = value ? value.split(" ") : [];
    return element("td", { class: "text" }, ...(words.length ? words.map((word) => chip(word, "bad")) : [chip("none", "good")]));
  }
  if (!isNumber(column)) return element("td", { class: column.name === "sequence" ? "text mono" : "text", title: value || "" }, value || "–");
  const text = shown(column, value);
  if (column.unit !== "fraction" || value === null || column.name.endsWith("_off"))
    return element("td", { class: value ? null : "zero" }, text);
  const fill = `width:${Math.round(100 * Math.min(1, Math.max(0, value)))}%`;
  return element("td", {}, element("span", { class: "bar", "aria-hidden": "true" }, element("i", { style: fill })), text);
}
const chip = (text, kind = "") => element("span", { class: `chip ${kind}` }, text);

function bringIntoView() {
  const index = shownRows.indexOf(chosenRow());
  if (index < 0) return;
  const top = index * ROW, room = box.clientHeight - 2 * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top > box.scrollTop + room) box.scrollTop = top - room;
  drawRows(true);
}

function move(steps) {
  const index = shownRows.indexOf(chosenRow());
  const next = index < 0 ? 0 : Math.max(0, Math.min(shownRows.length - 1, index + steps));
  choose(shownRows[next]);
}

function drawColumnChoice() {
  by("columns").replaceChildren(...data.columns.map((column) => element("label", { title: column.meaning },
    element("input", { type: "checkbox", checked: !state.hide.has(column.name), onchange: (event) => {
      const hide = new Set(state.hide);
      if (event.target.checked) hide.delete(column.name); else hide.add(column.name);
      change({ hide });
    } }), column.name)));
}

function drawCount() {
  const of = shownRows.length === rows.length ? "" : ` of ${rows.length.toLocaleString("en")}`;
  by("count").textContent = `${shownRows.length.toLocaleString("en")}${of}`;
  by("filter-says").textContent = problem;
  by("filter").setAttribute("aria-invalid", String(Boolean(problem)));
  if (by("filter").value !== state.filter) by("filter").value = state.filter;
  by("only-sound").setAttribute("aria-pressed", String(termOf(state.filter, "failed") === ""));
  by("only-starred").setAttribute("aria-pressed", String(termOf(state.filter, "starred") === "1"));
  by("clear-filter").hidden = state.filter === "";
}

function startTable() {
  box.addEventListener("scroll", () => requestAnimationFrame(() => drawRows()), { passive: true });
  new ResizeObserver(() => drawRows(true)).observe(box);
  on("rows", () => { box.scrollTop = 0; drawTable(); drawCount(); });
  on("hide", drawTable);
  on("hide", drawColumnChoice);
  on("stars", () => drawRows(true));
  on("chosen", bringIntoView);
  by("filter").addEventListener("input", (event) => change({ filter: event.target.value }));
  const toggle = (id, column, value) => by(id).addEventListener("click", () => {
    const isOn = termOf(state.filter, column) === value;
    change({ filter: withTerm(state.filter, column, isOn ? null : value) });
  });
  toggle("only-sound", "failed", "");
  toggle("only-starred", "starred", "1");
  by("clear-filter").addEventListener("click", () => change({ filter: "" }));
  drawTable(); drawColumnChoice(); drawCount();
}
