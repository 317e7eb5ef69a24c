"""The columns of summary.csv, and the checks that a sound design passes."""

from dataclasses import dataclass

from pxtools.runs.tables import Check, column


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A design's row; docs/scores.md is made from this list."""

    design: str = column("the CIF's name")
    rank: int | None = column(
        "place in the order below, best first", empty="until the run's designs are scored"
    )
    cluster: int | None = column(
        "designs within 2 Å of CA RMSD of a better one, binders superposed, share its number",
        empty="for structures from other sources",
    )
    failed: str = column("the checks below that the design does not pass")
    binder_length: int = column("of the binder, those with a complete backbone", "residues")
    target_residues: int = column("of the target, those with a complete backbone", "residues")
    bonds_off: float = column(
        "of N-CA, CA-C, C-O and C-N bonds more than 4 standard deviations from the mean of "
        "Engh & Huber 2001 (8 to 10 hundredths of an Å)",
        "fraction",
    )
    angles_off: float = column("of backbone bond angles, the same way (6 to 11°)", "fraction")
    ca_steps_off: float = column(
        "of CA-CA steps that are neither 3.8 Å (trans) nor 2.94 Å (cis), ± 0.2", "fraction"
    )
    chirality_off: float = column(
        "of residues with CB on the wrong side, or in a helix that winds to the left; designs "
        "have no CB, their helices show their hand",
        "fraction",
    )
    clashes_inside: int = column(
        "of binder backbone atoms two or more residues apart whose van der Waals spheres "
        "(Bondi 1964) overlap by more than 0.8 Å",
        "pairs",
    )
    clashes_target: int = column(
        "of a binder backbone atom and a target backbone or CB atom, the same way", "pairs"
    )
    clashes_sidechain: int = column(
        "of a binder backbone atom and the rest of a target side chain, which may take another "
        "rotamer; no check uses it",
        "pairs",
    )
    rg: float = column("radius of gyration of the binder's CA atoms", "Å")
    rg_expected: float = column("2.2 n^0.38, of globular chains (Skolnick et al. 1997)", "Å")
    helix: float = column(
        "of the binder's residues in an alpha, 3-10 or pi helix, from backbone hydrogen bonds "
        "within the whole complex (Kabsch & Sander 1983)",
        "fraction",
    )
    strand: float = column("of those in a bridge or ladder, the same way", "fraction")
    loop: float = column("of those in neither", "fraction")
    contacts: int = column(
        "of a binder and a target residue with CB atoms (ideal ones where there are none) "
        "under 8 Å",
        "pairs",
    )
    hotspots_contacted: float | None = column(
        "of the task's hotspots that are in such a contact", "fraction", empty="without hotspots"
    )
    target_rmsd: float | None = column(
        "CA RMSD of the sampled target to the input, superposed",
        "Å",
        empty="for structures from other sources",
    )
    mpnn_score: float | None = column(
        "lowest `score` of the design's sequences by px-sequence, ProteinMPNN's mean negative "
        "log-probability; no check uses it",
        "nats",
        empty="without sequences",
    )
    run: str = column(
        "which run the row is of: rows of another run in the same folder are not taken"
    )

    def __post_init__(self) -> None:
        if self.rg_expected <= 0:
            raise ValueError("rg_expected")

    @property
    def failures(self) -> list[str]:
        return self.failed.split()


# what a sound design passes; the column `failed` names those it does not
CHECKS: dict[str, Check] = {
    "bonds": Check(of=("bonds_off",), high=0.02),
    "angles": Check(of=("angles_off",), high=0.05),
    "ca_steps": Check(of=("ca_steps_off",), high=0.02),
    "chirality": Check(of=("chirality_off",), high=0),
    "clashes": Check(of=("clashes_inside", "clashes_target"), high=0),
    "rg": Check(of=("rg",), over="rg_expected", low=0.75, high=1.25),
    "structure": Check(of=("helix", "strand"), low=0.5),
    "contacts": Check(of=("contacts",), low=10),
    "hotspots": Check(of=("hotspots_contacted",), above=0),
    "target": Check(of=("target_rmsd",), high=1.0),
}
