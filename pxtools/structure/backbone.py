"""Geometry and secondary structure of protein backbones, (n, 4, 3) arrays of N, CA, C, O in Å.

`linked` (n,) says which residues are bonded to the one before them.
"""

import numpy as np

from pxtools.structure.geometry import squared_distances

# Engh & Huber 2001 (International Tables F, 18.3): mean and standard deviation, Å and degrees
BONDS = {"N-CA": (1.459, 0.020), "CA-C": (1.525, 0.026), "C-O": (1.229, 0.019)}
PEPTIDE_BOND = (1.336, 0.023)
ANGLES = {"N-CA-C": (111.0, 2.7), "CA-C-O": (120.1, 2.1)}
PEPTIDE_ANGLES = {"CA-C-N": (117.2, 2.2), "O-C-N": (122.7, 1.6), "C-N-CA": (121.7, 2.5)}
DEVIATIONS = 4  # standard deviations that are still in range
CA_STEPS, CA_STEP_TOLERANCE = (3.80, 2.94), 0.2  # Å: trans and cis
CB_OF_IDEAL = (-0.58273431, 0.56802827, -0.54067466)
HBOND_SCALE, HBOND_LIMIT = 27.888, -0.5  # kcal/mol, Kabsch & Sander 1983
HBOND_REACH = 9.0  # Å between CA atoms
HELIX, STRAND, LOOP = "H", "E", "-"


def ideal_cb(xyz: np.ndarray) -> np.ndarray:
    """Where CB of an L-amino acid sits, (n, 3), from its N, CA and C."""
    b, c = xyz[:, 1] - xyz[:, 0], xyz[:, 2] - xyz[:, 1]
    x, y, z = CB_OF_IDEAL
    return x * np.cross(b, c) + y * b + z * c + xyz[:, 1]


def bonds_off(xyz: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """For each backbone bond, peptide bonds last: whether its length is out of range."""
    n, ca, c, o = xyz.swapaxes(0, 1)
    inner = [np.linalg.norm(b - a, axis=-1) for a, b in ((n, ca), (ca, c), (c, o))]
    peptide = np.linalg.norm(n[1:] - c[:-1], axis=-1)[linked[1:]]
    wanted = [*BONDS.values(), PEPTIDE_BOND]
    return _out_of_range([*inner, peptide], wanted)


def angles_off(xyz: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """For each backbone bond angle: whether it is out of range."""
    n, ca, c, o = xyz.swapaxes(0, 1)
    after = np.flatnonzero(linked[1:]) + 1
    before = after - 1
    found = [_angle(n, ca, c), _angle(ca, c, o)]
    found += [
        _angle(ca[before], c[before], n[after]),
        _angle(o[before], c[before], n[after]),
        _angle(c[before], n[after], ca[after]),
    ]
    return _out_of_range(found, [*ANGLES.values(), *PEPTIDE_ANGLES.values()])


def ca_steps_off(xyz: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """For each pair of bonded residues: whether CA-CA is neither 3.8 Å (trans) nor 2.94 (cis)."""
    step = np.linalg.norm(np.diff(xyz[:, 1], axis=0), axis=-1)[linked[1:]]
    return np.abs(step[:, None] - CA_STEPS).min(1) > CA_STEP_TOLERANCE


def left_handed_turns(ca: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """(n,) whether the CA dihedral that starts at a residue is negative (right-handed: +50)."""
    left = np.zeros(len(ca), bool)
    if len(ca) > 3:
        b1, b2, b3 = (ca[i + 1 : len(ca) - 2 + i] - ca[i : len(ca) - 3 + i] for i in range(3))
        volume = (np.cross(b1, b2) * b3).sum(-1)
        whole = linked[1:-2] & linked[2:-1] & linked[3:]
        left[:-3] = whole & (volume < 0)
    return left


def radius_of_gyration(ca: np.ndarray) -> float:
    return float(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))


def expected_radius(n: int) -> float:
    """Å, of a globular chain of n residues: 2.2 n^0.38 (Skolnick et al. 1997)."""
    return float(2.2 * n**0.38)


def secondary_structure(
    xyz: np.ndarray, linked: np.ndarray, has_hydrogen: np.ndarray
) -> np.ndarray:
    """(n,) of H (alpha, 3-10 or pi helix), E (bridge or ladder) and -: Kabsch & Sander 1983.

    `has_hydrogen` (n,) is False for proline. Of overlapping assignments the alpha helix wins,
    then the bridge, then the other helices, as in DSSP.
    """
    bonded = hydrogen_bonds(xyz, linked, has_hydrogen)
    alpha = _helix(bonded, linked, 4, np.zeros(len(xyz), bool))
    bridge = _in_bridge(bonded, linked) & ~alpha
    taken = alpha | bridge
    other = _helix(bonded, linked, 3, taken)
    other |= _helix(bonded, linked, 5, taken | other)
    return np.where(bridge, STRAND, np.where(alpha | other, HELIX, LOOP))


def hydrogen_bonds(xyz: np.ndarray, linked: np.ndarray, has_hydrogen: np.ndarray) -> np.ndarray:
    """(n, n) whether N-H of the row's residue is bonded to C=O of the column's.

    Electrostatic energy under -0.5 kcal/mol; the two best partners of each N-H.
    """
    n, ca, c, o = xyz.swapaxes(0, 1)
    donor = linked & has_hydrogen
    carbonyl = c[:-1] - o[:-1]
    h = n.copy()
    h[1:] += carbonyl / np.linalg.norm(carbonyl, axis=-1, keepdims=True)
    near = (squared_distances(ca, ca) <= HBOND_REACH**2) & donor[:, None]
    i = np.arange(len(xyz))
    near[i, i] = False
    near[i[1:][linked[1:]], i[:-1][linked[1:]]] = False  # its own peptide bond
    i, j = np.divmod(np.flatnonzero(near), len(xyz))  # faster than nonzero
    ends = ((n, o, 1), (h, c, 1), (h, o, -1), (n, c, -1))
    energy = np.zeros((len(xyz), len(xyz)))
    energy[i, j] = HBOND_SCALE * sum(
        sign / np.maximum(np.linalg.norm(a[i] - b[j], axis=-1), 0.1) for a, b, sign in ends
    )
    second = np.partition(energy, min(1, len(xyz) - 1), axis=1)[:, min(1, len(xyz) - 1)]
    return (energy < HBOND_LIMIT) & (energy <= second[:, None])


def _angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    u, v = a - b, c - b
    norms = np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip((u * v).sum(-1) / np.maximum(norms, 1e-9), -1, 1)))


def _out_of_range(found: list[np.ndarray], wanted: list[tuple[float, float]]) -> np.ndarray:
    off = [abs(x - mean) > DEVIATIONS * sd for x, (mean, sd) in zip(found, wanted, strict=True)]
    return np.concatenate(off)


def _helix(bonded: np.ndarray, linked: np.ndarray, n: int, taken: np.ndarray) -> np.ndarray:
    """Residues between two n-turns in a row; none of a stretch that is partly taken."""
    inside = np.zeros(len(bonded), bool)
    if len(bonded) <= n:
        return inside
    links = np.cumsum(~linked)
    whole = links[n:] == links[:-n]
    turn = np.diagonal(bonded, -n) & whole  # N-H of i + n to C=O of i
    for start in np.flatnonzero(turn[1:] & turn[:-1]) + 1:
        if not taken[start : start + n].any():
            inside[start : start + n] = True
    return inside


def _in_bridge(bonded: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """Residues with a partner in a bridge, or inside a bulge between two bridges of a ladder."""
    size = len(bonded)
    found = np.zeros(size, bool)
    if size < 3:
        return found
    to = bonded.T  # to[a, b]: C=O of a to N-H of b
    mid, before, after = slice(1, -1), slice(None, -2), slice(2, None)
    parallel = to[before, mid] & to[mid, after].T
    parallel = parallel | parallel.T
    antiparallel = (to[mid, mid] & to[mid, mid].T) | (to[before, after] & to[before, after].T)
    chain = linked[1:-1] & linked[2:]
    i = np.arange(size - 2)
    piece = np.cumsum(~linked)
    apart = (i[None] - i[:, None] >= 3) | (piece[1:-1][:, None] < piece[1:-1][None])
    possible = chain[:, None] & chain[None] & apart
    for bridges, direction in ((parallel, 1), (antiparallel, -1)):
        a, b = np.nonzero(bridges & possible)
        _mark_ladders(found, piece, a + 1, b + 1, direction)
    return found


def _mark_ladders(
    found: np.ndarray, piece: np.ndarray, a: np.ndarray, b: np.ndarray, direction: int
) -> None:
    """Mark bridges (a, b), and what lies between two that a bulge parts.

    A bulge is at most one residue more on one strand and four on the other.
    """
    found[a] = found[b] = True
    along, across = a[None] - a[:, None], direction * (b[None] - b[:, None])
    close = (along > 0) & (across > 0) & (np.minimum(along, across) < 3)
    close &= np.maximum(along, across) < 6
    same = (piece[a][None] == piece[a][:, None]) & (piece[b][None] == piece[b][:, None])
    for i, j in np.argwhere(close & same):
        found[a[i] : a[j] + 1] = True
        found[min(b[i], b[j]) : max(b[i], b[j]) + 1] = True


def dihedrals(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(k,) degrees, -180 to 180, about the bonds from `b` to `c`, (k, 3) each."""
    axis = c - b
    u, v = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(u, v) * axis).sum(-1) / np.maximum(np.linalg.norm(axis, axis=-1), 1e-9)
    return np.degrees(np.arctan2(sine, (u * v).sum(-1)))
