// Plots on uPlot: it draws axes, ticks and the brush; `draw` puts the marks into its frame.
const TABS = [["scatter", "Compare"], ["checks", "Checks"], ["epitope", "Epitope"], ["fold", "Fold"], ["runs", "Runs"]];
let drawn = []; // the plots of the tab in view

const rem = (size) => `${size}px system-ui, sans-serif`;
function axes(x, y, extra = {}) {
  const common = { stroke: ink("soft"), font: rem(11), labelFont: rem(12), labelSize: 18, labelGap: 0,
    grid: { stroke: ink("line"), width: 1 }, ticks: { stroke: ink("line"), width: 1, size: 4 } };
  return [{ ...common, label: x, size: 26, ...extra.x }, { ...common, label: y, size: 42, ...extra.y }];
}

// A frame with fixed ranges; marks(ctx, px, py, u) draws in it with positions in canvas pixels.
function frame(host, { x, y, xLabel, yLabel, marks, brush, pick, label, axis }) {
  const plot = new uPlot({
    width: Math.max(80, host.clientWidth), height: Math.max(70, host.clientHeight), pxAlign: 1, padding: [8, 10, 0, 0],
    scales: { x: { time: false, range: () => x }, y: { range: () => y } },
    series: [{}, { show: true, points: { show: false }, paths: () => null }],
    axes: axes(xLabel, yLabel, axis), legend: { show: false },
    cursor: { points: { show: false }, x: false, y: false, drag: { x: Boolean(brush), y: brush === "xy", setScale: false, uni: 12 } },
    hooks: {
      draw: [(u) => {
        const { left, top, width, height } = u.bbox;
        u.ctx.save(); u.ctx.beginPath(); u.ctx.rect(left, top, width, height); u.ctx.clip();
        marks(u.ctx, (v) => u.valToPos(v, "x", true), (v) => u.valToPos(v, "y", true), u);
        u.ctx.restore();
      }],
      setSelect: [(u) => {
        const { left, top, width, height } = u.select;
        if (width < 3 && height < 3) return;
        const whole = (from, size, room) => size < 3 || size >= room - 1;
        const xs = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
        const ys = [u.posToVal(top + height, "y"), u.posToVal(top, "y")];
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        host.dispatchEvent(new CustomEvent("brush", { detail: {
          x: whole(left, width, u.over.clientWidth) ? null : xs, y: brush !== "xy" || whole(top, height, u.over.clientHeight) ? null : ys } }));
      }],
    },
  }, [[x[0], x[1]], [null, null]], host);
  const canvas = host.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  if (pick) {
    plot.over.addEventListener("pointermove", (event) => tip(pick(plot, event.offsetX, event.offsetY)?.text, event));
    plot.over.addEventListener("pointerleave", () => tip(null));
    let down = null;
    plot.over.addEventListener("pointerdown", (event) => { down = [event.clientX, event.clientY]; });
    plot.over.addEventListener("pointerup", (event) => {
      if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) < 4) pick(plot, event.offsetX, event.offsetY)?.act?.();
    });
  }
  drawn.push({ plot, host });
  return plot;
}

function tip(text, event) {
  by("tip").hidden = !text;
  if (!text) return;
  by("tip").textContent = text;
  const left = Math.min(event.clientX + 14, innerWidth - by("tip").offsetWidth - 8);
  const top = Math.min(event.clientY + 14, innerHeight - by("tip").offsetHeight - 8);
  Object.assign(by("tip").style, { left: `${left}px`, top: `${top}px` });
}

function spread(values, low = null, high = null) {
  const known = values.filter((value) => value !== null && Number.isFinite(value));
  let min = Math.min(...(low === null ? known : [low, ...known])), max = Math.max(...(high === null ? known : [high, ...known]));
  if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  const edge = (max - min || Math.abs(max) || 1) * 0.05;
  return [min - edge, max + edge];
}
const titled = (name) => `${name}${columns.get(name)?.unit ? ` (${columns.get(name).unit})` : ""}`;
const rounded = ([a, b]) => {
  const digits = Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.abs(b - a) || 1))));
  return `${Number(a.toFixed(digits))}..${Number(b.toFixed(digits))}`;
};
const brushed = (ranges) => change({ filter: ranges.reduce((text, [name, range]) =>
  (range ? withTerm(text, name, rounded(range)) : text), state.filter) });

function pointColour(row) {
  if (state.paint === "run") return runColour(row.run);
  if (state.paint === "cluster") return PALETTE[((row.values.cluster ?? 0) - 1 + PALETTE.length) % PALETTE.length];
  return isSound(row) ? ink("accent") : ink("bad");
}

function drawScatter(host) {
  const pickColumn = (axis) => element("select", { "data-axis": axis, onchange: (event) => change({ [axis]: event.target.value }) },
    ...numeric.map((name) => element("option", { value: name, selected: name === state[axis] }, name)));
  const paints = [["checks", "checks passed"], ...(several ? [["run", "run"]] : []), ...(has("cluster") ? [["cluster", "cluster"]] : [])];
  const paint = element("select", { onchange: (event) => change({ paint: event.target.value }) },
    ...paints.map(([value, text]) => element("option", { value, selected: value === state.paint }, text)));
  const canvas = element("div", { class: "draw" }), keys = element("div", { class: "keys" });
  host.replaceChildren(element("div", { class: "tools" }, element("label", {}, "Across ", pickColumn("x")), element("label", {}, "up ", pickColumn("y")),
    element("label", {}, "colour ", paint), element("span", { class: "gap" }), element("span", { class: "soft" }, "drag to filter")), canvas, keys);
  const { x, y } = state, inFilter = new Set(shownRows);
  const points = rows.filter((row) => row.values[x] !== null && row.values[y] !== null);
  const colours = new Map(points.map((row) => [row, pointColour(row)]));
  const order = [...points].sort((a, b) => inFilter.has(a) - inFilter.has(b));
  const size = points.length > 1500 ? 2.2 : points.length > 200 ? 3 : 4.5;
  frame(canvas, {
    x: spread(points.map((row) => row.values[x])), y: spread(points.map((row) => row.values[y])), xLabel: titled(x), yLabel: titled(y),
    brush: "xy", label: `${y} over ${x} of ${points.length} designs, ${shownRows.length} pass the filter`,
    marks: (ctx, px, py) => {
      const scale = devicePixelRatio;
      const dot = (row, radius) => { ctx.beginPath(); ctx.arc(px(row.values[x]), py(row.values[y]), radius * scale, 0, 7); };
      for (const row of order) {
        dot(row, size);
        ctx.globalAlpha = inFilter.has(row) ? 0.75 : 0.35;
        ctx.fillStyle = inFilter.has(row) ? colours.get(row) : ink("faint");
        ctx.fill();
      }
      ctx.globalAlpha = 1;
      for (const row of points) if (state.stars.has(row.key)) mark(row, ink("star"), size + 2);
      const chosen = chosenRow();
      if (chosen && colours.has(chosen)) { mark(chosen, ink("binder"), size + 4); mark(chosen, ink("card"), size + 2); }
      function mark(row, colour, radius) { dot(row, radius); ctx.lineWidth = 2 * scale; ctx.strokeStyle = colour; ctx.stroke(); }
    },
    pick: (u, left, top) => {
      let best = null, least = 144;
      for (const row of points) {
        const far = (u.valToPos(row.values[x], "x") - left) ** 2 + (u.valToPos(row.values[y], "y") - top) ** 2;
        if (far < least) { least = far; best = row; }
      }
      return best && { act: () => choose(best), text: `${best.name}${several ? ` · ${best.run.label}` : ""}\n${x} ${shown(columns.get(x), best.values[x])} · ${y} ${shown(columns.get(y), best.values[y])}${best.values.failed ? `\nfails ${best.values.failed}` : ""}` };
    },
  });
  canvas.addEventListener("brush", ({ detail }) => brushed([[x, detail.x], [y, detail.y]]));
  const legend = { checks: [[ink("accent"), "passes every check"], [ink("bad"), "fails one or more"]],
    run: data.runs.slice(0, 8).map((run) => [runColour(run), run.label]), cluster: [] }[state.paint] || [];
  keys.replaceChildren(...[...legend, [ink("binder"), "chosen"], [ink("star"), "starred"]].map(([colour, text]) =>
    element("span", {}, element("i", { style: `background:${colour}` }), text)));
}

// Counts of values in equal bins over a range.
function binned(values, [low, high], n) {
  const bins = new Array(n).fill(0);
  for (const value of values) if (value !== null) bins[Math.max(0, Math.min(n - 1, Math.floor((value - low) / (high - low) * n)))]++;
  return bins;
}

// A histogram of all designs (pale) and of those in the filter; what fails lies on red.
function histogram(host, { name, all, some, low = null, high = null, xLabel, whole = false }) {
  let range = spread(all, low, high);
  let n = 18;
  if (whole && range[1] - range[0] <= 40) { range = [Math.floor(range[0]) - 0.5, Math.ceil(range[1]) + 0.5]; n = Math.round(range[1] - range[0]); }
  const [every, these] = [binned(all, range, n), binned(some, range, n)];
  const top = Math.max(1, ...every), width = (range[1] - range[0]) / n;
  frame(host, {
    x: range, y: [0, top * 1.08], xLabel, yLabel: "", brush: "x", label: `histogram of ${name}`,
    axis: { x: { size: 22, space: 34, label: xLabel }, y: { size: 28, space: 22, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] } },
    marks: (ctx, px, py, u) => {
      const { left, top: above, width: wide, height } = u.bbox;
      ctx.fillStyle = ink("bad-wash");
      if (low !== null) ctx.fillRect(left, above, px(low) - left, height);
      if (high !== null) ctx.fillRect(px(high), above, left + wide - px(high), height);
      const bars = (counts, colour) => {
        ctx.fillStyle = colour;
        counts.forEach((count, i) => {
          const from = px(range[0] + i * width), to = px(range[0] + (i + 1) * width);
          if (count) ctx.fillRect(from + 0.5, py(count), Math.max(1, to - from - 1), py(0) - py(count));
        });
      };
      bars(every, ink("faint"));
      bars(these, ink("accent"));
      ctx.strokeStyle = ink("bad"); ctx.lineWidth = 1.5 * devicePixelRatio; ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const limit of [low, high]) if (limit !== null) {
        ctx.beginPath(); ctx.moveTo(px(limit), above); ctx.lineTo(px(limit), above + height); ctx.stroke();
      }
      ctx.setLineDash([]);
    },
    pick: (u, left) => {
      const i = Math.floor((u.posToVal(left, "x") - range[0]) / width);
      return i >= 0 && i < n && { text: `${name} ${Number((range[0] + i * width).toFixed(3))} to ${Number((range[0] + (i + 1) * width).toFixed(3))}\n${these[i]} of ${every[i]} in the filter` };
    },
  });
  host.addEventListener("brush", ({ detail }) => brushed([[name, detail.x]]));
}

const failsCheck = (row, check) => (row.values.failed || "").split(" ").includes(check.name);
const says = (check) => {
  const what = check.of.join(" + ") + (check.over ? ` / ${check.over}` : "");
  if (check.low !== null && check.high !== null) return `${what} ${check.low} to ${check.high}`;
  if (check.above !== null) return `${what} > ${check.above}`;
  if (check.below !== null) return `${what} < ${check.below}`;
  return `${what} ${check.low !== null ? "≥" : "≤"} ${check.low ?? check.high}`;
};

function drawChecks(host) {
  const grid = element("div", { class: "checks" });
  let left = shownRows;
  const cards = data.checks.map((check) => {
    const expression = check.of.join("+") + (check.over ? `/${check.over}` : "");
    const failing = shownRows.filter((row) => failsCheck(row, check)).length;
    left = left.filter((row) => !failsCheck(row, check));
    const draw = element("div", { class: "draw", style: "height:84px" });
    const filter = () => change({ filter: withTerm(state.filter, "failed", termOf(state.filter, "failed") === check.name ? null : check.name) });
    grid.append(element("figure", {}, element("figcaption", {},
      element("button", { type: "button", title: `show the designs that fail ${check.name}`, onclick: filter }, check.name),
      element("span", { class: failing ? "fails" : "none" }, failing ? `${failing} fail` : "all pass")),
    element("small", {}, `${says(check)} · ${left.length} left`), draw));
    return { check, expression, draw };
  });
  const sound = shownRows.filter(isSound).length;
  host.replaceChildren(element("div", { class: "tools" }, element("span", {}, `${sound} of ${shownRows.length} pass every check`),
    element("span", { class: "gap" }), element("span", { class: "soft" }, "“left”: after this check and those before it")), grid);
  for (const { check, expression, draw } of cards) histogram(draw, { name: expression, all: rows.map((row) => valueOf(row, expression)),
    some: shownRows.map((row) => valueOf(row, expression)), low: check.low ?? check.above, high: check.high ?? check.below, xLabel: undefined });
}

function drawEpitope(host) {
  const target = targetOf(chosenRow()) || data.targets[0];
  if (!target) { host.replaceChildren(element("p", { class: "nothing soft" }, "No target to show.")); return; }
  const { counts, of } = frequencies(target);
  const shownResidues = counts.map((_, r) => r).filter((r) => target.kept[r] === "1" || counts[r]), n = shownResidues.length;
  const without = shownRows.length - of;
  const canvas = element("div", { class: "draw" });
  host.replaceChildren(element("div", { class: "tools" }, element("span", {}, `Target residues that ${of} designs touch`),
    without > 0 ? element("span", { class: "soft" }, `(${without} others: other target, or no coordinates in the page)`) : null,
    element("span", { class: "gap" }), element("span", { class: "soft" }, "click a residue to filter")), canvas,
  element("div", { class: "keys" }, ...[["accent", "contact"], ["hot", "hotspot"]].map(([name, text]) => element("span", {}, element("i", { style: `background:${ink(name)}` }), text)),
    ...target.chains.map((chain) => element("span", {}, `chain ${chain}: ${target.chain.filter((c) => target.chains[c] === chain).length} residues`))));
  const picked = (termOf(state.filter, "touches") || "").split(",");
  frame(canvas, {
    x: [-1, n], y: [0, 1.05], xLabel: "target residue", yLabel: "designs in contact", label: `contact frequency of ${n} target residues`, brush: null,
    axis: { x: { values: (u, at) => at.map((v) => (Number.isInteger(v) && v >= 0 && v < n ? residueId(target, shownResidues[v]) : "")), space: 60 },
      y: { values: (u, at) => at.map((v) => `${Math.round(100 * v)}%`) } },
    marks: (ctx, px, py, u) => {
      const wide = Math.max(1, (px(1) - px(0)) * 0.8);
      shownResidues.forEach((r, i) => {
        const hot = target.hot[r] === "1";
        ctx.fillStyle = hot ? ink("hot") : ink("accent");
        const share = of ? counts[r] / of : 0;
        if (picked.includes(residueId(target, r))) { ctx.globalAlpha = 0.18; ctx.fillRect(px(i) - wide, u.bbox.top, 2 * wide, u.bbox.height); ctx.globalAlpha = 1; }
        ctx.fillRect(px(i) - wide / 2, py(share), wide, py(0) - py(share));
        if (hot) { ctx.beginPath(); ctx.arc(px(i), py(0) - 3 * devicePixelRatio, 2.5 * devicePixelRatio, 0, 7); ctx.fill(); }
        if (i && target.chain[r] !== target.chain[shownResidues[i - 1]]) { ctx.fillStyle = ink("soft"); ctx.fillRect(px(i - 0.5), u.bbox.top, 1, u.bbox.height); }
      });
    },
    pick: (u, left) => {
      const r = shownResidues[Math.round(u.posToVal(left, "x"))];
      return r !== undefined && { text: `${residueId(target, r)} ${residueName(target, r)}${target.hot[r] === "1" ? " · hotspot" : ""}\n${counts[r]} of ${of} designs`, act: () => touch(residueId(target, r)) };
    },
  });
}
function touch(id) {
  const on = termOf(state.filter, "touches") === id;
  change({ filter: withTerm(state.filter, "touches", on ? null : id) });
}

function drawFold(host) {
  const withPose = shownRows.filter((row) => row.pose >= 0);
  const parts = ["wide", "", ""].map((kind) => element("div", { class: kind }));
  host.replaceChildren(element("div", { class: "fold" }, ...parts));
  const inside = (i, title) => { const draw = element("div", { class: "draw" }); parts[i].append(element("h3", {}, title), draw); return draw; };
  const most = Math.max(1, ...withPose.map((row) => data.poses.length[row.pose]));
  const draws = [inside(0, `Secondary structure of ${withPose.length} designs, in the table's order`), inside(1, "Length"), inside(2, "Cluster sizes")];
  const colours = { H: ink("helix"), E: ink("strand"), "-": ink("faint") };
  frame(draws[0], {
    x: [0.5, most + 0.5], y: [withPose.length || 1, 0], xLabel: "binder residue", yLabel: "", label: `secondary structure of ${withPose.length} designs`,
    axis: { y: { size: 38, values: (u, at) => at.map((v) => (Number.isInteger(v) ? v : "")) } },
    marks: (ctx, px, py) => withPose.forEach((row, i) => {
      const fold = data.poses.fold[row.pose], top = py(i), high = Math.max(1, py(i + 1) - top - (withPose.length < 80 ? 1 : 0));
      for (let from = 0, to = 1; from < fold.length; from = to, to++) {
        while (to < fold.length && fold[to] === fold[from]) to++;
        ctx.fillStyle = colours[fold[from]] || colours["-"];
        ctx.fillRect(px(from + 0.5), top, px(to + 0.5) - px(from + 0.5), high);
      }
      if (row === chosenRow()) { ctx.strokeStyle = ink("binder"); ctx.lineWidth = 2; ctx.strokeRect(px(0.5), top, px(fold.length + 0.5) - px(0.5), high); }
    }),
    pick: (u, left, top) => {
      const row = withPose[Math.floor(u.posToVal(top, "y"))];
      return row && { text: `${row.name}\nhelix ${shown(columns.get("helix") || { kind: "number" }, row.values.helix ?? null)}, strand ${shown(columns.get("strand") || { kind: "number" }, row.values.strand ?? null)}`, act: () => choose(row) };
    },
  });
  const length = has("binder_length") ? "binder_length" : null;
  if (length) histogram(draws[1], { name: length, all: rows.map((row) => row.values[length]), some: shownRows.map((row) => row.values[length]), xLabel: undefined, whole: true });
  drawClusters(draws[2]);
}

function drawClusters(host) {
  const sizes = new Map();
  for (const row of shownRows) if (row.values.cluster != null) {
    const id = several ? `${row.run.label}: ${row.values.cluster}` : String(row.values.cluster);
    sizes.set(id, [...(sizes.get(id) || []), row]);
  }
  const list = [...sizes].sort((a, b) => b[1].length - a[1].length).slice(0, 40);
  frame(host, {
    x: [-0.6, Math.max(1, list.length) - 0.4], y: [0, Math.max(1, ...list.map(([, members]) => members.length)) * 1.08], xLabel: undefined, yLabel: "", label: `sizes of ${sizes.size} clusters`,
    axis: { x: { size: 22, values: (u, at) => at.map((v) => list[v]?.[0] ?? "") }, y: { size: 28, incrs: [1, 2, 5, 10, 50, 100, 500] } },
    marks: (ctx, px, py) => list.forEach(([, members], i) => {
      ctx.fillStyle = members.includes(chosenRow()) ? ink("binder") : ink("accent");
      ctx.fillRect(px(i - 0.4), py(members.length), px(i + 0.4) - px(i - 0.4), py(0) - py(members.length));
    }),
    pick: (u, left) => {
      const at = list[Math.round(u.posToVal(left, "x"))];
      return at && { text: `cluster ${at[0]}: ${at[1].length} designs\nbest: ${at[1][0].name}`, act: () => change({ filter: withTerm(state.filter, "cluster", String(at[1][0].values.cluster)), chosen: at[1][0].key }) };
    },
  });
}

function drawRuns(host) {
  const medianOf = (list, name) => {
    const values = list.map((row) => row.values[name]).filter((value) => typeof value === "number").sort((a, b) => a - b);
    return values.length ? shown({ kind: "number" }, (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2) : "–";
  };
  const compared = ["helix", "strand", "contacts", "hotspots_contacted", "target_rmsd", "mpnn_score"].filter(has);
  const body = data.runs.map((run) => {
    const list = shownRows.filter((row) => row.run === run), sound = list.filter(isSound).length;
    const clusters = new Set(list.map((row) => row.values.cluster).filter((c) => c != null)).size;
    const cells = [list.length, sound, list.length ? `${Math.round(100 * sound / list.length)}%` : "–", clusters, ...compared.map((name) => medianOf(list, name))];
    return element("tr", {}, element("td", {}, element("i", { style: `background:${runColour(run)}` }), run.label), ...cells.map((text) => element("td", {}, String(text))));
  });
  const heads = ["run", "designs", "pass", "", "clusters", ...compared.map((name) => `median ${name}`)];
  const failing = element("table", {}, element("thead", {}, element("tr", {}, ...["fail", ...data.runs.map((run) => run.label)].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...data.checks.map((check) => element("tr", {}, element("td", {}, check.name), ...data.runs.map((run) =>
      element("td", {}, String(shownRows.filter((row) => row.run === run && failsCheck(row, check)).length)))))));
  host.replaceChildren(element("div", { class: "stats", tabindex: 0, role: "region", "aria-label": "Runs compared" }, element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))), element("tbody", {}, ...body)),
    element("br"), failing));
}

const DRAW = { scatter: drawScatter, checks: drawChecks, epitope: drawEpitope, fold: drawFold, runs: drawRuns };

function drawPlots() {
  for (const { plot } of drawn) plot.destroy();
  drawn = [];
  tip(null);
  const tab = DRAW[state.tab] ? state.tab : "scatter";
  for (const button of by("tabs").children) {
    const isOn = button.dataset.tab === tab;
    button.setAttribute("aria-selected", String(isOn));
    button.tabIndex = isOn ? 0 : -1;
  }
  by("plot").setAttribute("aria-labelledby", `tab-${tab}`);
  if (!rows.length) { by("plot").replaceChildren(element("p", { class: "nothing soft", style: "padding:30px;text-align:center" }, "No designs yet.")); return; }
  const focused = document.activeElement?.dataset?.axis;
  DRAW[tab](by("plot"));
  if (focused) by("plot").querySelector(`[data-axis=${focused}]`)?.focus();
}

function startPlots() {
  by("tabs").replaceChildren(...TABS.map(([tab, text]) => element("button", { type: "button", role: "tab", id: `tab-${tab}`, "data-tab": tab,
    "aria-controls": "plot", onclick: () => change({ tab }) }, text)));
  by("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([tab]) => tab === state.tab);
    change({ tab: TABS[(at + step + TABS.length) % TABS.length][0] });
    by(`tab-${state.tab}`).focus();
    event.stopPropagation();
  });
  let due = 0;
  const soon = () => { cancelAnimationFrame(due); due = requestAnimationFrame(drawPlots); };
  on("tab x y paint theme", drawPlots);
  on("rows stars", soon);
  on("chosen", () => {
    if (state.tab === "epitope" && data.targets.length > 1) return soon();
    for (const { plot } of drawn) plot.redraw(false, false);
  });
  let size = "";
  new ResizeObserver(() => {
    const now = `${by("plot").clientWidth}x${by("plot").clientHeight}`;
    if (size && size !== now) soon();
    size = now;
  }).observe(by("plot"));
  drawPlots();
}
