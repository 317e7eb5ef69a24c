// What the page shows: rows with their values by column, targets and poses; coordinates on demand.
const data = JSON.parse(document.getElementById("data").textContent);
const columns = new Map(data.columns.map((column) => [column.name, column]));
const several = data.runs.length > 1;

const rows = data.designs.name.map((name, i) => {
  const run = data.runs[data.designs.run[i]];
  const values = Object.create(null);
  for (const column of columns.keys()) values[column] = data.designs.values[column][i];
  return {
    name, run, values, i,
    key: several ? `${run.label}/${name}` : name,
    file: data.designs.file[i],
    pose: data.designs.pose[i],
    sequences: data.designs.sequences[i].map(
      ([number, letters, score, global, temperature, weights, seed, chances]) =>
        ({ number, letters, score, global, temperature, weights, seed, chances })),
  };
});
const byKey = new Map(rows.map((row) => [row.key, row]));

const isSound = (row) => !row.values.failed;
const touches = (row) => (row.pose < 0 ? [] : data.poses.contacts[row.pose]);
const residueId = (target, r) => `${target.chains[target.chain[r]]}:${target.number[r]}`;
const residueName = (target, r) => `${target.kinds[target.kind[r]][0]} ${target.number[r]}`;
const targetOf = (row) => (row && row.pose >= 0 ? data.targets[data.poses.target[row.pose]] : null);
const lettersOf = (row) => row.sequences[0]?.letters || (row.pose < 0 ? "" : data.poses.letters[row.pose]);

function shown(column, value) {
  if (value === null || value === "") return "–";
  if (column.kind !== "number") return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(2);
}

// The inverse of packing.py: base64, zlib, byte planes, sign in the lowest bit, steps along the chain.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = planes.length / 4, points = n / 3;
  const xyz = new Float32Array(n);
  for (let axis = 0; axis < 3; axis++) {
    for (let i = 0, at = 0, k = axis * points; i < points; i++, k++) {
      const folded = planes[k] | planes[n + k] << 8 | planes[2 * n + k] << 16 | planes[3 * n + k] << 24;
      at += folded >>> 1 ^ -(folded & 1);
      xyz[3 * i + axis] = at / 100;
    }
  }
  return xyz;
}

let places = null; // {poses: Float32Array, starts: [], targets: [Float32Array]}
async function unpackAll() {
  const packed = JSON.parse(document.getElementById("coordinates").textContent);
  const [poses, ...targets] = await Promise.all([packed.poses, ...packed.targets].map(unpack));
  const starts = [];
  let at = 0;
  for (const length of data.poses.length) { starts.push(at); at += length * 9; }
  places = { poses, starts, targets };
}

// Atoms as 3Dmol takes them, with bonds inside residues and along the chain.
function atom(name, resn, chain, resi, xyz, at, extra) {
  return { serial: 0, atom: name, elem: name[0], resn, chain, resi, x: xyz[at], y: xyz[at + 1],
    z: xyz[at + 2], hetflag: false, bonds: [], bondOrder: [], ss: "c", properties: extra, b: 0 };
}

const STRUCTURES = { H: "h", E: "s", "-": "c" };

function targetAtoms(target) {
  const xyz = places.targets[data.targets.indexOf(target)];
  const atoms = [];
  target.kind.forEach((kind, r) => {
    const [resn, names] = target.kinds[kind];
    const first = atoms.length;
    for (const name of names.split(" ")) {
      const made = atom(name, resn, String(target.chain[r]), target.label[r], xyz, 3 * atoms.length, { residue: r });
      made.ss = STRUCTURES[target.fold[r]];
      for (let j = first; j < atoms.length; j++) bond(atoms, made, j);
      atoms.push(made);
    }
  });
  return atoms;
}

function bond(atoms, made, j) {
  const other = atoms[j];
  const square = (made.x - other.x) ** 2 + (made.y - other.y) ** 2 + (made.z - other.z) ** 2;
  if (square > 4.2) return; // 2.05 Å: S-S, S-C and shorter
  made.bonds.push(j); made.bondOrder.push(1);
  other.bonds.push(atoms.length); other.bondOrder.push(1);
}

function poseAtoms(pose) {
  const n = data.poses.length[pose], start = places.starts[pose], xyz = places.poses;
  const breaks = new Set(data.poses.breaks[pose]), fold = data.poses.fold[pose];
  const atoms = [];
  for (let i = 0, resi = 0; i < n; i++) {
    resi += breaks.has(i) ? 10 : 1;
    const at = start + 9 * i, extra = { residue: i };
    const next = i + 1 < n && !breaks.has(i + 1) ? at + 9 : at;
    ["N", "CA", "C"].forEach((name, k) => atoms.push(atom(name, "GLY", "X", resi, xyz, at + 3 * k, extra)));
    atoms.push(atom("O", "GLY", "X", resi, oxygen(xyz, at, next), 0, extra));
    for (const made of atoms.slice(-4)) made.ss = STRUCTURES[fold[i]];
  }
  return atoms;
}

// O lies opposite the middle of CA and the next N, 1.23 Å from C.
function oxygen(xyz, at, next) {
  const d = [0, 1, 2].map((k) => {
    const c = xyz[at + 6 + k];
    return { c, ca: c - xyz[at + 3 + k], n: c - xyz[next + k] };
  });
  const ca = Math.hypot(...d.map((v) => v.ca)), n = Math.hypot(...d.map((v) => v.n));
  const way = d.map((v) => v.ca / ca + v.n / n), long = Math.hypot(...way) || 1;
  return d.map((v, k) => v.c + 1.23 * way[k] / long);
}
