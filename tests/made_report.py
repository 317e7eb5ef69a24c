"""Reports made up for tests: helices around a real target, as many as wanted, always the same."""

from dataclasses import replace
from functools import cache

import gemmi
import numpy as np
from conftest import STRUCTURES

from pxtools.report.contents import (
    Column,
    Design,
    Lettered,
    Pose,
    Report,
    Run,
    Target,
    TargetResidue,
)
from pxtools.runs.sequences import Sequence
from pxtools.runs.tables import Check

COLUMNS = (
    Column("rank", "whole", "", "place, best first"),
    Column("cluster", "whole", "", "designs that are alike"),
    Column("failed", "words", "", "checks that are not passed"),
    Column("binder_length", "whole", "residues", "residues of the binder"),
    Column("rg", "number", "Å", "radius of gyration"),
    Column("rg_expected", "number", "Å", "radius of gyration of a globule"),
    Column("helix", "number", "fraction", "residues in helices"),
    Column("strand", "number", "fraction", "residues in strands"),
    Column("contacts", "whole", "pairs", "residues in contact"),
    Column("hotspots_contacted", "number", "fraction", "hotspots in contact"),
)
CHECKS = {
    "rg": Check(of=("rg",), over="rg_expected", low=0.75, high=1.25),
    "structure": Check(of=("helix", "strand"), low=0.5),
    "contacts": Check(of=("contacts",), low=10),
}


@cache
def target() -> Target:
    """5PTI with hotspots 15, 17, 19; its last ten residues cut away."""
    structure = gemmi.read_structure(str(STRUCTURES / "5PTI.cif.gz"))
    sites = list(structure[0][0].get_polymer().first_conformer())
    residues, xyz = [], []
    for n, site in enumerate(sites, 1):
        atoms = [atom for atom in site if not atom.is_hydrogen()]
        xyz += [atom.pos.tolist() for atom in atoms]
        names = tuple(atom.name for atom in atoms)
        hot = n in (15, 17, 19)
        residues.append(TargetResidue(site.name, "A0", str(n), n, n <= 48, hot, "-", names))
    return Target("bpti", tuple(residues), np.array(xyz))


def helix(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 3, 3) N, CA, C of two helices side by side, a little shaken."""
    i = np.arange(n)
    half = n // 2
    turn, rise = np.radians(100) * i, np.where(i < half, 1.5 * i, 1.5 * (n - 1 - i))
    shift = np.where(i < half, 0.0, 10.0)
    radius = np.array([1.55, 2.3, 1.65])
    angle = turn[:, None] + np.radians([-28.0, 0.0, 26.0])
    height = rise[:, None] + np.array([-0.9, 0.0, 1.1]) * np.where(i < half, 1, -1)[:, None]
    xyz = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1)
    xyz[..., 0] += shift[:, None]
    return xyz + rng.normal(0, 0.05, xyz.shape)


def pose(number: int, n: int) -> Pose:
    rng = np.random.default_rng(number)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation[0] *= np.sign(np.linalg.det(rotation))
    whole = target()
    middle = whole.xyz.mean(0)
    away = whole.xyz[100] - middle + rng.normal(0, 3, 3)
    xyz = helix(n, rng)
    xyz = (xyz - xyz.mean((0, 1))) @ rotation.T + middle + away * (25 / np.linalg.norm(away))
    starts = np.cumsum([0, *(len(r.atoms) for r in whole.residues)])[:-1]
    ca = xyz[:, 1]
    squared = (whole.xyz**2).sum(1)[:, None] + (ca**2).sum(1) - 2 * whole.xyz @ ca.T
    near = np.minimum.reduceat(squared.min(1), starts) < 8**2
    fold = "-" + "H" * (n // 2 - 2) + "--" + "H" * (n - n // 2 - 2) + "-"
    return Pose(0, xyz, fold, tuple(np.flatnonzero(near).tolist()))


def design(number: int, n: int = 40, run: int = 0, in_3d: bool = True) -> Design:
    rng = np.random.default_rng(number)
    made = pose(number, n) if in_3d else None
    rg = round(float(rng.normal(10, 1)), 2)
    contacts = int(rng.integers(2, 60))
    helical = round(float(rng.uniform(0.3, 1)), 4)
    strand = round(float(rng.uniform(0, 0.2)), 4)
    failed = " ".join(
        name
        for name, bad in (
            ("rg", abs(rg / 9 - 1) > 0.25),
            ("structure", helical + strand < 0.5),
            ("contacts", contacts < 10),
        )
        if bad
    )
    hot = round(len({14, 16, 18} & set(made.contacts if made else ())) / 3, 4)
    values = (number + 1, number // 3 + 1, failed, n, rg, 9.0, helical, strand, contacts, hot)
    letters = "".join(rng.choice(list("AEKLRVGS"), n))
    chances = tuple(float(p) for p in rng.uniform(0.1, 0.95, n))
    name = f"bpti_sample_{number}"
    sequence = Sequence(
        design=name,
        number=0,
        sequence=letters,
        score=-float(np.log(chances).mean()),
        global_score=1.2,
        temperature=0.1,
        weights="vanilla",
        seed=7,
        made_from="",
        run="",
    )
    return Design(
        name, run, values, f"predictions/{name}.cif", made, (Lettered(sequence, chances),)
    )


def report(n: int = 16, length: int = 40, in_3d: int = 10**9, **changes: object) -> Report:
    made = Report(
        "bpti",
        "2026-01-02 03:04 UTC",
        "px-report results/",
        COLUMNS,
        CHECKS,
        (Run("bpti seed_7", (("task", "bpti"), ("model", "nano")), n, n),),
        (target(),),
        tuple(design(i, length, in_3d=i < in_3d) for i in range(n)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
