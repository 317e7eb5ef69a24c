"""The columns of summary.csv."""

from dataclasses import dataclass

from pxtools.runs.tables import column


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
    fold: int | None = column(
        "designs of clusters whose best have a TM-score of at least 0.5 to a better one, over the "
        "longer one's length, share its number (see below)",
        empty="unless px-score is given --folds",
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
    helices: int | None = column("of at least four residues, in the binder", "number", later=True)
    strands: int | None = column("of at least two residues, in the binder", "number", later=True)
    longest_helix: int | None = column("of the binder", "residues", later=True)
    ramachandran_off: float | None = column(
        "of the binder's residues, proline and (where it has side chains) glycine left out, whose "
        "phi and psi 99.5 % of residues of compact chains of the PDB do not have",
        "fraction",
        later=True,
    )
    buried_area: float | None = column(
        "of target and binder together that water (1.4 Å) reaches on each alone and not on the "
        "complex (Shrake & Rupley 1973, 100 points an atom); the binder's backbone and CB count",
        "Å²",
        later=True,
    )
    interface_target: int | None = column("of the target, in a contact", "residues", later=True)
    interface_binder: int | None = column("of the binder, in a contact", "residues", later=True)
    epitope: str | None = column(
        "the target's residues in a contact: A0:40 A0:41", empty="where there is none", later=True
    )
    hotspot_distance: float | None = column(
        "from a hotspot's CB to the binder's nearest, mean over the hotspots",
        "Å",
        empty="without hotspots",
        later=True,
    )
    n_term_target: float | None = column(
        "from the binder's first N to the target's nearest heavy atom", "Å", later=True
    )
    c_term_target: float | None = column(
        "from the binder's last C to the target's nearest heavy atom", "Å", later=True
    )
    n_term_exposed: float | None = column(
        "of the first residue's backbone that water reaches, in the complex", "Å²", later=True
    )
    c_term_exposed: float | None = column(
        "of the last residue's backbone that water reaches, in the complex", "Å²", later=True
    )
    termini_distance: float | None = column(
        "from the binder's first N to its last C", "Å", later=True
    )
    clashes_cropped: int | None = column(
        "of a binder backbone atom and an atom of the target's chains that the crop cut away, as "
        "`clashes_target`",
        "pairs",
        empty="unless px-score is given the task (-i)",
        later=True,
    )
    avoid_contacts: int | None = column(
        "of the binder and residues that the task marks `avoid`, as `contacts`",
        "pairs",
        empty="unless px-score is given the task (-i)",
        later=True,
    )
    from_task: str | None = column(
        "of which crop and `avoid` the two columns before are: with another task they are "
        "measured again",
        empty="unless px-score is given the task (-i)",
        later=True,
    )
    predictor: str | None = column(
        "whose prediction of the design has the highest ipTM: the columns below are of it, "
        "predictions.csv has all",
        empty="without predictions",
    )
    iptm: float | None = column("predicted TM-score of the interface", empty="without predictions")
    ptm: float | None = column("predicted TM-score of the complex", empty="without predictions")
    plddt: float | None = column(
        "of the binder's CA atoms, mean, 0 to 1", empty="without predictions"
    )
    ipae: float | None = column(
        "mean predicted aligned error between target and binder, both ways",
        "Å",
        empty="without predictions, or without their matrices",
    )
    bound_rmsd: float | None = column(
        "CA RMSD of the predicted binder to the design's, superposed",
        "Å",
        empty="without predictions",
    )
    pose_rmsd: float | None = column(
        "the same, the targets superposed and not the binders", "Å", empty="without predictions"
    )
    alone_rmsd: float | None = column(
        "CA RMSD of the binder predicted alone to the design's, superposed",
        "Å",
        empty="where it was not predicted alone",
    )
    filters: str | None = column(
        "the published filters below that a prediction of the design passes",
        empty="without predictions",
    )
    bucket: int | None = column(
        "of the published ranking, 1 (best) to 9, by the filters passed (see below)",
        empty="without predictions",
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
