"""predictions.csv: what structure predictors say of a run's designs and their sequences."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pxtools.console import warn
from pxtools.errors import DamagedError, InputError
from pxtools.runs.designs import texts_of
from pxtools.runs.folder import RunDir
from pxtools.runs.sequences import table as sequences_of
from pxtools.runs.tables import Table, column
from pxtools.scoring.predictors import Output, outputs_in, read_confidence
from pxtools.structure.complex import Residue, read_chains
from pxtools.structure.geometry import superposition
from pxtools.structure.parsing import parse_structure, structure_text
from pxtools.structure.reading import protein_chains
from pxtools.structure.residues import letter_of

SEQUENCE = re.compile(r"(?P<design>.+_sample_\d+)(?:_seq_(?P<number>\d+))?", re.IGNORECASE)
Key = tuple[str, int | None, str, str]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A row; docs/scores.md is made from this list."""

    design: str = column("the design's name")
    number: int | None = column(
        "of its sequence, as in sequences.csv", empty="where the prediction's name tells none"
    )
    predictor: str = column("boltz, protenix, af3, colabfold or chai")
    model: str = column("which of the predictor's models of this sequence")
    iptm: float | None = column("predicted TM-score of the interface", empty="where not written")
    ptm: float | None = column("predicted TM-score of the complex", empty="where not written")
    plddt: float | None = column(
        "of the binder's CA atoms (B factors), mean, 0 to 1", empty="for a chain without any"
    )
    ipae: float | None = column(
        "mean predicted aligned error between target and binder, both ways",
        "Å",
        empty="where no matrix was written",
    )
    bound_rmsd: float | None = column(
        "CA RMSD of the predicted binder to the design's, superposed",
        "Å",
        empty="for another length",
    )
    pose_rmsd: float | None = column(
        "the same, the targets superposed and not the binders",
        "Å",
        empty="where the targets have fewer than 3 residues in common",
    )
    alone_rmsd: float | None = column(
        "CA RMSD of the binder predicted alone to the design's, superposed",
        "Å",
        empty="where it was not predicted alone",
    )
    run: str = column("which run the row is of")

    @property
    def key(self) -> Key:
        return self.design, self.number, self.predictor, self.model


def table(run: RunDir) -> Table[Prediction, Key]:
    return Table(run.path / "predictions.csv", Prediction, lambda row: row.key)


@dataclass(frozen=True)
class Named:
    """A prediction with the design that its name speaks of."""

    output: Output
    design: str
    number: int | None


def named(folder: Path) -> tuple[Named, ...]:
    """The predictions below a folder whose names speak of a design and a sequence."""
    if not folder.is_dir():
        raise InputError.of(folder, "--predictions", "a folder of a predictor's output", "none")
    found = []
    for output in outputs_in(folder):
        if match := SEQUENCE.match(output.name):
            number = match["number"]
            found.append(Named(output, match["design"], int(number) if number else None))
    return tuple(found)


def add_predictions(run: RunDir, digest: str, given: Iterable[Named]) -> list[Prediction]:
    """Write the rows of a run's predictions; those of the same model are replaced. All its rows.

    Predictions that cannot be read are left out with a warning.
    """
    stored = table(run)
    rows = stored.read(lambda row: row.run == digest)
    by_name = {run.cif(sample).stem.lower(): sample for sample in run.cif_samples()}
    mine = [(one, by_name[one.design.lower()]) for one in given if one.design.lower() in by_name]
    texts = texts_of(run, sorted({sample for _, sample in mine}))
    designs = {sample: read_chains(str(run.cif(sample)), text) for sample, text in texts}
    alone: dict[tuple[str, int | None, str], float] = {}
    letters, of_others = _letters(run, digest), 0
    for one, sample in mine:
        name = run.cif(sample).stem
        try:
            predicted = _chains(one.output.structure)
            chosen = letters.get((name, one.number)) or letters.get((name, None))
            if chosen and predicted and predicted[-1].letters not in chosen:
                of_others += 1
            elif len(predicted) > 1:
                row = _compared(one, name, digest, designs[sample], predicted)
                rows[row.key] = row
            elif (rmsd := _fold_rmsd(designs[sample][-1], predicted[-1])) is not None:
                alone[name, one.number, one.output.predictor] = rmsd
        except KeyError:
            continue  # the design's file is damaged, which was said
        except (DamagedError, InputError) as error:
            warn(f"{error}; this prediction is left out")
    if mine and not letters:
        warn(
            f"{run.path}: {len(mine)} predictions are taken by their names alone: it has no "
            "sequences to compare their letters with"
        )
    if of_others:
        warn(
            f"{run.path}: {of_others} predictions named after its designs have other letters than "
            "its sequences (another seed's, or your own?): left out"
        )
    for key, row in rows.items():
        rmsd = alone.get((row.design, row.number, row.predictor), row.alone_rmsd)
        rows[key] = replace(row, alone_rmsd=rmsd)
    stored.write(sorted(rows.values(), key=lambda row: (len(row.design), str(row.key))))
    return list(rows.values())


def _letters(run: RunDir, digest: str) -> dict[tuple[str, int | None], set[str]]:
    """The sequences of each design by their numbers, and all of them under None."""
    found: dict[tuple[str, int | None], set[str]] = {}
    for row in sequences_of(run.path).read(lambda row: row.run == digest).values():
        for number in (row.number, None):
            found.setdefault((row.design, number), set()).add(row.sequence)
    return found


def best_predictions(predictions: Iterable[Prediction]) -> dict[str, Prediction]:
    """Of each design the prediction with the highest ipTM."""
    best: dict[str, Prediction] = {}
    for row in predictions:
        known = best.get(row.design)
        if known is None or (row.iptm or 0) > (known.iptm or 0):
            best[row.design] = row
    return best


@dataclass(frozen=True)
class _Chain:
    """A predicted chain: letters, CA atoms (n, 3) in Å, residue numbers, B factors."""

    letters: str
    ca: np.ndarray
    numbers: list[int]
    b_factors: np.ndarray


def _chains(path: Path) -> list[_Chain]:
    """The protein chains of a predicted structure, the binder last. Raises InputError."""
    polymers = protein_chains(path, parse_structure(path, structure_text(path)))
    chains = []
    for polymer in (p for p in polymers.values() if p.is_protein):
        pairs = zip(polymer.sites, polymer.label_seq, strict=True)
        found = [(site, n, site["CA"][0]) for site, n in pairs if "CA" in site]
        letters = "".join(letter_of(site.name) for site, _, _ in found)
        xyz = np.array([atom.pos.tolist() for *_, atom in found]).reshape(-1, 3)
        b_factors = np.array([atom.b_iso for *_, atom in found])
        chains.append(_Chain(letters, xyz, [n for _, n, _ in found], b_factors))
    return chains


def _compared(
    one: Named, name: str, digest: str, design: list[list[Residue]], predicted: list[_Chain]
) -> Prediction:
    output = one.output
    told = read_confidence(output)
    binder = predicted[-1]
    plddt = binder.b_factors.mean() if len(binder.b_factors) else None
    if plddt is not None and plddt > 1:  # written as percent
        plddt /= 100
    ipae, bound_rmsd = _between(told.pae, predicted), _fold_rmsd(design[-1], binder)
    if told.pae is not None and ipae is None:
        residues = sum(len(chain.ca) for chain in predicted)
        warn(f"{output.structure}: PAE of {len(told.pae)} tokens, {residues} residues: no ipAE")
    if bound_rmsd is None:
        lengths = f"its last chain has {len(binder.ca)} residues, the binder {len(design[-1])}"
        warn(f"{output.structure}: {lengths}: no RMSD")
    return Prediction(
        design=name,
        number=one.number,
        predictor=output.predictor,
        model=output.model,
        iptm=told.iptm,
        ptm=told.ptm,
        plddt=None if plddt is None else round(float(plddt), 4),
        ipae=ipae,
        bound_rmsd=bound_rmsd,
        pose_rmsd=_pose_rmsd(design, predicted),
        run=digest,
    )


def _between(pae: np.ndarray | None, chains: list[_Chain]) -> float | None:
    """Å, mean of the blocks of target and binder; None if tokens are not the residues."""
    n, m = sum(len(chain.ca) for chain in chains), len(chains[-1].ca)
    if pae is None or len(pae) != n or not 0 < m < n:
        return None
    blocks = np.concatenate([pae[: n - m, n - m :].ravel(), pae[n - m :, : n - m].ravel()])
    return round(float(blocks.mean()), 3)


def _ca(chain: list[Residue]) -> np.ndarray:
    return np.array([residue.backbone[1] for residue in chain]).reshape(-1, 3)


def _fold_rmsd(design: list[Residue], predicted: _Chain) -> float | None:
    if len(design) != len(predicted.ca):
        return None
    return round(superposition(predicted.ca, _ca(design))[2], 3)


def _pose_rmsd(design: list[list[Residue]], predicted: list[_Chain]) -> float | None:
    """Targets are matched chain by chain, residues by their place in the full sequence."""
    if len(design) != len(predicted) or len(design[-1]) != len(predicted[-1].ca):
        return None
    fixed, moving = [], []
    for chain, other in zip(design[:-1], predicted[:-1], strict=True):
        places = dict(zip(other.numbers, other.ca, strict=True))
        both = [residue for residue in chain if residue.label_seq in places]
        fixed += [residue.backbone[1] for residue in both]
        moving += [places[residue.label_seq] for residue in both]
    if len(fixed) < 3:
        return None
    rotation, translation, _ = superposition(np.array(moving), np.array(fixed))
    moved = predicted[-1].ca @ rotation.T + translation
    return round(float(np.sqrt(((moved - _ca(design[-1])) ** 2).sum(1).mean())), 3)
