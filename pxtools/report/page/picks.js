// Picks: what leaves the page, made in the browser.
function download(name, content) {
  const url = content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], { type: "text/plain" }));
  element("a", { href: url, download: name }).click();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
const safeName = (text) => text.replace(/[^\w.-]+/g, "_").slice(0, 80) || "designs";

const quoted = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function asCsv(list) {
  const heads = ["design", "run", ...columns.keys(), "file"];
  const lines = list.map((row) => [row.name, row.run.label, ...[...columns.keys()].map((name) => row.values[name]), row.file]);
  return [heads, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

const asList = (list) => list.filter((row) => row.file).map((row) => `${row.file.replace(/[\r\n]/g, "?")}\n`).join("");

function asFasta(list) {
  return list.filter(lettersOf).map((row) => {
    const best = row.sequences[0];
    const score = best?.score != null ? ` score=${best.score}` : "";
    return `>${row.key.replace(/\s+/g, "_")}${score}\n${lettersOf(row)}\n`;
  }).join("");
}

// Paths go in as Python strings (JSON's escapes are Python's), from the folder of this page.
function asPymol(list) {
  const named = list.filter((row) => row.file);
  const pairs = named.map((row) => `    (${JSON.stringify(row.file)}, ${JSON.stringify(safeName(row.key))}),\n`).join("");
  return `# Run it in the folder of the report: pymol ${"picks.pml"}\npython\nfrom pymol import cmd\npicks = [\n${pairs}]\nfor path, name in picks:\n    cmd.load(path, name)\n    binder = cmd.get_chains(name)[-1]\n    cmd.color("slate", f"{name} and not chain {binder}")\n    cmd.color("orange", f"{name} and chain {binder}")\ncmd.hide("everything")\ncmd.show("cartoon")\ncmd.zoom()\npython end\n`;
}

const SAVES = [
  ["csv", "CSV", "every column", "picks.csv", asCsv],
  ["list", "File names", "a path each line", "picks.txt", asList],
  ["fasta", "FASTA", "the best sequence each", "picks.fasta", asFasta],
  ["pymol", "PyMOL script", "loads and colours them", "picks.pml", asPymol],
];

function drawPicks() {
  by("pick-count").textContent = state.stars.size;
  if (!by("picks").open) return;
  const starred = sorted(rows.filter((row) => state.stars.has(row.key)), state.sort);
  const save = (list, what) => element("div", { class: "saves", "data-what": what }, ...SAVES.map(([kind, name, says, file, make]) => {
    const lacks = kind === "fasta" ? list.filter((row) => !lettersOf(row)).length : kind === "csv" ? 0 : list.filter((row) => !row.file).length;
    const missing = lacks ? `${lacks} without a ${kind === "fasta" ? "sequence (px-sequence makes them)" : "file (px-write-cif writes them)"}` : says;
    return element("button", { type: "button", "data-save": kind, disabled: lacks === list.length, onclick: () => download(file, make(list)) }, name, element("small", {}, missing));
  }));
  by("picks").replaceChildren(closeButton("picks"), element("h2", { id: "picks-title" }, "Picks"),
    element("h3", {}, `${starred.length} starred`), starred.length ? save(starred, "starred") : element("p", { class: "soft" }, "Star a design with s, or with ☆ in the table."),
    element("div", { class: "chips" }, ...starred.slice(0, 100).map((row) => chip(row.name))),
    element("h3", {}, `${shownRows.length} in the table`), save(shownRows, "shown"),
    starred.length ? element("button", { type: "button", onclick: () => change({ stars: new Set() }) }, "Take all stars away") : "");
}
const closeButton = (id) => element("button", { type: "button", class: "close", onclick: () => by(id).close() }, "Close");
