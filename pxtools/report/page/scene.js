// The 3-D view: the target stays, the chosen design and those beside it come and go.
const PALETTE = ["#1c7ed6", "#e8590c", "#2f9e44", "#9c36b5", "#c2255c", "#0c8599", "#a07000", "#5f3dc4"];
const BESIDE = 20, SURFACE_ATOMS = 6000, NEAR = 40; // NEAR: Å
let viewer = null, sceneTarget = null, binders = [], surfacesAsked = 0, sceneReady = false;

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const mix = (a, b, t) => {
  const [x, y] = [a, b].map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  return `#${x.map((v, k) => Math.round(v + (y[k] - v) * t).toString(16).padStart(2, "0")).join("")}`;
};

async function startScene() {
  const fail = (why) => {
    for (const id of ["canvas", "scene-tools", "scene-buttons", "legend"]) by(id).hidden = true;
    by("no-canvas").hidden = false;
    by("no-canvas").textContent = why;
  };
  if (!data.poses.length.length) return fail("No structures to show yet.");
  try {
    const probe = document.createElement("canvas");
    if (!probe.getContext("webgl2") && !probe.getContext("webgl")) throw new Error("no WebGL");
    await unpackAll();
    viewer = $3Dmol.createViewer(by("canvas"), { backgroundColor: ink("scene"), antialias: true, cartoonQuality: 8 });
    if (!viewer) throw new Error("no viewer");
  } catch (error) {
    viewer = null;
    return fail(`This browser shows no 3-D here (${error.message}); table and plots work without it.`);
  }
  sceneReady = true;
  const canvas = by("canvas").querySelector("canvas");
  canvas.addEventListener("wheel", () => tip(null), { passive: true });
  on("chosen beside rows stars", (changed) => {
    if (changed.has("chosen") || state.beside !== "none" || changed.has("beside")) drawScene();
  });
  on("colour", () => { inOnePicture(paintBinders); drawLegend(); });
  on("frequency surface", () => { inOnePicture(paintTarget); drawLegend(); });
  on("rows", () => { if (state.frequency) inOnePicture(paintTarget); });
  on("theme", () => {
    inOnePicture(() => { viewer.setBackgroundColor(ink("scene")); paintTarget(); paintBinders(); });
    drawLegend();
  });
  by("centre").addEventListener("click", () => inOnePicture(lookAtInterface));
  by("picture").addEventListener("click", () => download(`${safeName(state.chosen || data.title)}.png`, viewer.pngURI()));
  drawScene();
}

// 3Dmol makes a picture at nearly every call, which takes long without a graphics card: here it
// makes none until all is changed.
function inOnePicture(change) {
  viewer.show = () => {};
  try { change(); } finally { delete viewer.show; }
  viewer.render();
}

function drawScene() {
  if (!viewer) return;
  const row = chosenRow(), target = targetOf(row) || sceneTarget || data.targets[0] || null;
  inOnePicture(() => {
    const isNew = target !== sceneTarget;
    if (isNew) showTarget(target);
    for (const { model } of binders) viewer.removeModel(model);
    const wanted = besideRows(row).filter((other) => other.pose >= 0 && targetOf(other) === target);
    binders = wanted.map((other) => {
      const model = viewer.addModel();
      model.addAtoms(poseAtoms(other.pose));
      return { row: other, model };
    });
    paintBinders();
    if (isNew) lookAtInterface();
  });
  by("canvas").setAttribute("aria-label", row
    ? `3-D view: ${row.name}${row.pose < 0 ? " (no coordinates in this page)" : ""} on ${target?.name || "its target"}` : "3-D view");
  drawLegend();
}

function besideRows(row) {
  const others = {
    none: [], cluster: row && row.values.cluster != null ? rows.filter((r) => r.run === row.run && r.values.cluster === row.values.cluster).slice(0, 50) : [],
    starred: rows.filter((r) => state.stars.has(r.key)).slice(0, 50), filtered: shownRows.slice(0, BESIDE),
  }[state.beside] || [];
  return [...(row ? [row] : []), ...others.filter((other) => other !== row)];
}

function showTarget(target) {
  viewer.removeAllModels(); viewer.removeAllSurfaces(); viewer.removeAllLabels();
  binders = []; sceneTarget = target;
  if (!target) return;
  target.model = viewer.addModel();
  target.model.addAtoms(targetAtoms(target));
  if (state.surface === null) state.surface = target.model.selectedAtoms({ predicate: (a) => target.kept[a.properties.residue] === "1" }).length <= SURFACE_ATOMS;
  by("surface").checked = state.surface;
  paintTarget();
}

function frequencies(target) {
  const counts = new Array(target.kind.length).fill(0);
  let of = 0;
  for (const row of shownRows) {
    if (row.pose < 0 || targetOf(row) !== target) continue;
    of++;
    for (const r of touches(row)) counts[r]++;
  }
  return { counts, of };
}

function targetColour(target) {
  const [plain, cut, hot] = [ink("target"), ink("cut"), ink("hot")];
  const { counts, of } = state.frequency ? frequencies(target) : { counts: [], of: 0 };
  return (made) => {
    const r = made.properties.residue;
    if (state.frequency) return mix(ink("cut"), ink("accent"), of ? counts[r] / of : 0);
    if (target.hot[r] === "1") return hot;
    return target.kept[r] === "1" ? plain : cut;
  };
}

function paintTarget() {
  const target = sceneTarget;
  if (!viewer || !target) return;
  const colour = targetColour(target);
  target.model.setStyle({}, { cartoon: { colorfunc: colour, arrows: true, thickness: 0.35 } });
  viewer.removeAllLabels();
  const hot = [...target.hot].flatMap((flag, r) => (flag === "1" ? [r] : []));
  const isHot = (made) => target.hot[made.properties.residue] === "1";
  if (hot.length) target.model.setStyle({ predicate: isHot }, {
    cartoon: { colorfunc: colour, arrows: true, thickness: 0.35 },
    stick: { radius: 0.2, colorfunc: (made) => ({ N: "#3b6fd4", O: "#d64545", S: "#c9a400" }[made.elem] || ink("hot")) },
  });
  for (const r of hot.slice(0, 40)) {
    const tip = target.model.selectedAtoms({ predicate: (made) => made.properties.residue === r }).at(-1);
    if (tip) viewer.addLabel(residueName(target, r), { position: { x: tip.x, y: tip.y, z: tip.z }, fontSize: hot.length > 4 ? 9 : 11, inFront: true,
      fontColor: "#ffffff", backgroundColor: "#9c1148", backgroundOpacity: 0.78, borderThickness: 0, padding: 2, alignment: "centerLeft" });
  }
  viewer.removeAllSurfaces(); // there is one at most; ids begin anew, so one alone may be another's
  delete by("canvas").dataset.surface;
  surfaceLater(target, colour);
}

// The surface comes after the first picture: it takes a second, the cartoon does not.
function surfaceLater(target, colour) {
  const asked = ++surfacesAsked;
  if (state.surface) setTimeout(async () => {
    if (asked !== surfacesAsked || target !== sceneTarget) return;
    const made = viewer.addSurface($3Dmol.SurfaceType.MS, { opacity: 0.62, colorfunc: (a) => mix(colour(a), ink("scene"), 0.35) },
      { model: target.model, predicate: (a) => target.kept[a.properties.residue] === "1" });
    await made;
    if (asked === surfacesAsked && target === sceneTarget) by("canvas").dataset.surface = "drawn";
  }, 60);
}

function binderColour(row) {
  const fold = data.poses.fold[row.pose];
  if (state.colour === "fold") return (made) => ink({ H: "helix", E: "strand" }[fold[made.properties.residue]] || "loop");
  if (state.colour === "run") return () => runColour(row.run);
  if (state.colour === "probability") {
    const chances = row.sequences.find((s) => s.chances)?.chances || "";
    return (made) => (chances ? mix("#d9480f", "#1971c2", Number(chances[made.properties.residue] || 0) / 9) : ink("loop"));
  }
  return () => ink("binder");
}
const runColour = (run) => PALETTE[data.runs.indexOf(run) % PALETTE.length];

function paintBinders() {
  const chosen = chosenRow();
  for (const { row, model } of binders) {
    const full = binderColour(row), scene = ink("scene"), cache = new Map();
    const pale = (made) => { const c = full(made); if (!cache.has(c)) cache.set(c, mix(c, scene, 0.45)); return cache.get(c); };
    const style = row === chosen ? { colorfunc: full, arrows: true, thickness: 0.4 } : { colorfunc: pale, arrows: true, thickness: 0.2, opacity: 1 };
    model.setStyle({}, { cartoon: style });
  }
}

// The binder above the target: from the target's middle to the binder's is up.
function lookAtInterface() {
  const middle = (atoms) => ["x", "y", "z"].map((k) => atoms.reduce((sum, a) => sum + a[k], 0) / (atoms.length || 1));
  const binder = binders[0]?.model.selectedAtoms({ atom: "CA" }) || [];
  if (!binder.length || !sceneTarget) return viewer.zoomTo();
  const centre = middle(binder);
  const near = (a) => a.chain === "X" || (sceneTarget.kept[a.properties.residue] === "1"
    && Math.hypot(a.x - centre[0], a.y - centre[1], a.z - centre[2]) < NEAR);
  viewer.zoomTo({ predicate: near });
  const under = sceneTarget.model.selectedAtoms({ atom: "CA", predicate: near });
  const up = centre.map((v, k) => v - middle(under)[k]);
  const long = Math.hypot(...up);
  if (long < 1) return;
  const [x, y, z] = up.map((v) => v / long);
  const view = viewer.getView(), q = [-z, 0, x, 1 + y]; // turns (x, y, z) onto (0, 1, 0)
  const size = Math.hypot(...q);
  viewer.setView([...view.slice(0, 4), ...(size < 1e-4 ? [1, 0, 0, 0] : q.map((v) => v / size))]);
}

function drawLegend() {
  const row = chosenRow();
  const items = [];
  if (row && row.pose >= 0) {
    if (state.colour === "fold") items.push([ink("helix"), "helix"], [ink("strand"), "strand"], [ink("loop"), "loop"]);
    else if (state.colour === "probability") items.push(["#1971c2", "likely letter"], ["#d9480f", "unlikely letter"]);
    else if (state.colour === "run") items.push(...data.runs.slice(0, 8).map((run) => [runColour(run), run.label]));
    else items.push([ink("binder"), "binder"]);
  }
  if (state.frequency) items.push([ink("accent"), "touched by all"], [ink("cut"), "by none"]);
  else if (sceneTarget) {
    items.push([ink("target"), "target"]);
    if (sceneTarget.hot.includes("1")) items.push([ink("hot"), "hotspots"]);
    if (sceneTarget.kept.includes("0")) items.push([ink("cut"), "cut away"]);
  }
  if (row && row.pose < 0) items.push(["transparent", "no coordinates of this design in the page"]);
  by("legend").replaceChildren(...items.map(([colour, text]) => element("li", {}, element("i", { style: `background:${colour}` }), text)));
}
