// Header, details, dialogs, keys; then everything starts.
function drawHeader() {
  by("title").textContent = data.title;
  const sound = rows.filter(isSound).length;
  const clusters = new Set(rows.filter((row) => row.values.cluster != null).map((row) => `${row.run.label}/${row.values.cluster}`)).size;
  const parts = [`${rows.length.toLocaleString("en")} designs`];
  if (several) parts.push(`${data.runs.length} runs`);
  if (data.checks.length && rows.length) parts.push(`${sound.toLocaleString("en")} pass every check`);
  if (clusters) parts.push(`${clusters.toLocaleString("en")} clusters`);
  by("tally").textContent = parts.join(" · ");
}

function drawNotices() {
  const notices = [];
  for (const run of data.runs) {
    if (run.asked === null || run.done >= run.asked) continue;
    notices.push(element("div", { class: "notice", role: "status" }, element("progress", { max: run.asked, value: run.done, "aria-label": `progress of ${run.label}` }),
      `${run.label}: ${run.done.toLocaleString("en")} of ${run.asked.toLocaleString("en")} so far${data.reload ? `; this page reloads itself every ${data.reload} s` : ""}`));
  }
  for (const text of new Set(data.runs.map((run) => run.notice).filter(Boolean))) notices.push(element("div", { class: "notice" }, `⚠ ${text}`));
  for (const text of data.notes) notices.push(element("div", { class: "notice" }, text));
  by("notices").replaceChildren(...notices);
}

function drawDetail() {
  const row = chosenRow();
  if (!row) { by("detail").replaceChildren(element("p", { class: "soft" }, rows.length ? "Choose a design in the table or a plot." : "No designs yet: this page fills as they are scored.")); return; }
  const starred = state.stars.has(row.key);
  const failed = (row.values.failed || "").split(" ").filter(Boolean);
  const left = element("div", {}, element("div", { class: "head" },
    element("button", { type: "button", class: "star", "aria-pressed": String(starred), "aria-label": "Star the chosen design", onclick: () => star(row) }, starred ? "★" : "☆"), element("h3", {}, row.name)),
  element("div", { class: "chips" }, ...(row.values.rank != null ? [chip(`rank ${row.values.rank}`)] : []), ...(row.values.cluster != null ? [chip(`cluster ${row.values.cluster}`)] : []),
    ...(several ? [chip(row.run.label)] : []), ...(failed.length ? failed.map((name) => chip(`fails ${name}`, "bad")) : [chip("passes every check", "good")])),
  element("p", { class: "more" }, row.file || "no CIF written yet"));
  by("detail").replaceChildren(left, element("div", {}, ...sequenceLines(row), touchLine(row)));
}

function sequenceLines(row) {
  const fold = row.pose < 0 ? "" : data.poses.fold[row.pose];
  const bare = fold ? [{ letters: data.poses.letters[row.pose] || "·".repeat(fold.length), says: data.poses.letters[row.pose] ? "" : "no sequence yet (px-sequence makes one); its secondary structure:" }] : [];
  const list = row.sequences.length ? row.sequences.slice(0, 4).map((s) => ({ letters: s.letters,
    says: [`sequence ${s.number}`, s.score != null && `score ${s.score.toFixed(2)}`, s.temperature != null && `T ${s.temperature}`, s.weights].filter(Boolean).join(" · ") })) : bare;
  return list.flatMap(({ letters, says }) => {
    const line = element("div", { class: "letters" });
    let ten = null;
    [...letters].forEach((letter, i) => {
      if (i % 10 === 0) line.append(ten = element("span", {}, element("sup", {}, String(i + 1))), " ");
      ten.append(element("b", { class: { H: "H", E: "E", "-": "L" }[fold[i]] || "" }, letter));
    });
    return says ? [element("p", { class: "more" }, says), line] : [line];
  });
}

function touchLine(row) {
  const target = targetOf(row);
  if (!target || row.pose < 0) return element("p", { class: "more" }, "no coordinates of this design in the page");
  return element("p", { class: "more touch" }, `touches ${touches(row).length} residues: `, ...touches(row).map((r) =>
    element("button", { type: "button", class: target.hot[r] === "1" ? "hot" : "", title: "show the designs that touch it", onclick: () => touch(residueId(target, r)) },
      `${target.chains.length > 1 ? `${target.chains[target.chain[r]]} ` : ""}${residueName(target, r)}`)));
}

function aboutPage() {
  const facts = (pairs) => element("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  return [closeButton("about"), element("h2", { id: "about-title" }, "About these runs"),
    ...data.runs.flatMap((run) => [element("h3", {}, run.label), ...(run.notice ? [element("p", { class: "fails" }, run.notice)] : []), facts(run.facts)]),
    element("h3", {}, "This page"), facts([["written", data.written], ["command", data.command], ["drawn with", data.libraries.join(", ")]]),
    element("h3", {}, "Columns"), facts(data.columns.map((column) => [column.name, `${column.meaning}${column.unit ? ` (${column.unit})` : ""}`])),
    ...(data.checks.length ? [element("h3", {}, "Checks"), facts(data.checks.map((check) => [check.name, says(check)]))] : [])];
}

function helpPage() {
  const keys = [["↑ ↓", "the design before, the next"], ["PgUp PgDn", "ten designs on"], ["Home End", "the first, the last"], ["s", "star the chosen design"], ["/", "to the filter"], ["Esc", "leave the filter; close"], ["?", "this help"]];
  const filters = [["helix>0.5", "a limit: > < >= <= = !="], ["contacts=30..60", "a range; either end may be left out"], ["failed=", "nothing there: no check failed"], ["failed=rg,contacts", "one of these"],
    ["sequence~LKE", "contains"], ["touches=A0:15", "in contact with a target residue"], ["starred=1", "your picks"], ["rg/rg_expected<1.1", "columns joined by + and /"], ["sample_12", "a word alone: in the name or the sequence"]];
  const table = (pairs, tag) => element("dl", { class: "facts" }, ...pairs.flatMap(([what, text]) => [element("dt", {}, element(tag, {}, what)), element("dd", {}, text)]));
  return [closeButton("help"), element("h2", { id: "help-title" }, "Help"), element("h3", {}, "Keys"), table(keys, "kbd"), element("h3", {}, "Filters"), table(filters, "code"),
    element("p", { class: "soft" }, "All that you choose is in this page's address: copy it to share the view. Drag over a plot to filter; Shift and a click on a column sorts by it as well.")];
}

function openDialog(id, fill) {
  if (fill) by(id).replaceChildren(...fill());
  if (!by(id).open) by(id).showModal();
}

function onKey(event) {
  const typing = event.target.closest("input[type=search], select, textarea, [role=tab]");
  if (event.key === "Escape" && event.target === by("filter")) by("filter").blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9, j: 1, k: -1 };
  if (event.key in moves) move(moves[event.key]);
  else if (event.key === "s" && chosenRow()) star(chosenRow());
  else if (event.key === "/") by("filter").focus();
  else if (event.key === "?") openDialog("help", helpPage);
  else return;
  event.preventDefault();
}

function paintTheme() {
  const dark = state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

// What paper shows: the picture as an image, the first rows of the table, where they come from.
function beforePrint() {
  box.dataset.printing = "1";
  drawRows(true);
  document.querySelectorAll("#print-picture, #print-about").forEach((made) => made.remove());
  if (viewer) by("canvas").append(element("img", { id: "print-picture", src: viewer.pngURI(), alt: "the structure" }));
  const more = shownRows.length > PRINTED ? `The first ${PRINTED} of ${shownRows.length} designs. ` : "";
  document.querySelector("main").append(element("section", { id: "print-about" }, more, ...aboutPage().slice(2)));
}
function afterPrint() {
  delete box.dataset.printing;
  drawRows(true);
}

// A page that px-report --watch rewrites opens itself again, but not under the reader's hand.
function startReloading() {
  if (!data.reload) return;
  let touched = 0;
  for (const kind of ["pointerdown", "keydown", "wheel"]) addEventListener(kind, () => { touched = performance.now(); }, { passive: true });
  const again = () => {
    if (document.querySelector("dialog[open]") || (touched && performance.now() - touched < 4000)) return setTimeout(again, 1000);
    sessionStorage.setItem("view", JSON.stringify(viewer?.getView() ?? null));
    sessionStorage.setItem("scroll", JSON.stringify([scrollX, scrollY, box.scrollTop]));
    location.reload();
  };
  setTimeout(again, data.reload * 1000);
}
function comeBack() {
  if (!data.reload) return;
  const [view, scroll] = ["view", "scroll"].map((key) => JSON.parse(sessionStorage.getItem(key) || "null"));
  if (view && viewer) inOnePicture(() => viewer.setView(view));
  if (scroll) { scrollTo(scroll[0], scroll[1]); box.scrollTop = scroll[2]; }
}

async function start() {
  Object.assign(state, fromHash(location.hash));
  written = location.hash.slice(1);
  paintTheme();
  select();
  if (!chosenRow()) state.chosen = (shownRows.find((row) => row.pose >= 0) || shownRows[0])?.key || "";
  const hasChances = rows.some((row) => row.sequences.some((s) => s.chances));
  const colours = [["chain", "by chain"], ["fold", "secondary structure"], ...(hasChances ? [["probability", "MPNN probability"]] : []), ...(several ? [["run", "by run"]] : [])];
  by("colour").replaceChildren(...colours.map(([value, text]) => element("option", { value }, text)));
  const controls = { colour: "value", beside: "value", surface: "checked", frequency: "checked" };
  const fill = () => { for (const [id, property] of Object.entries(controls)) by(id)[property] = state[id] ?? false; };
  fill();
  for (const [id, property] of Object.entries(controls)) by(id).addEventListener("change", () => change({ [id]: by(id)[property] }));
  on(Object.keys(controls).join(" "), fill);
  drawHeader(); drawNotices(); drawDetail();
  startTable(); startPlots(); drawPicks(); bringIntoView();
  on("chosen stars", drawDetail);
  on("stars rows sort", drawPicks);
  on("theme", paintTheme);
  listeners.unshift(listeners.pop()); // colours first: the others read them
  by("open-picks").addEventListener("click", () => { openDialog("picks"); drawPicks(); });
  by("open-about").addEventListener("click", () => openDialog("about", aboutPage));
  by("open-help").addEventListener("click", () => openDialog("help", helpPage));
  by("theme").addEventListener("click", () => change({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => change({ theme: state.theme }));
  document.addEventListener("keydown", onKey);
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  await startScene();
  comeBack();
  startReloading();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
start();
