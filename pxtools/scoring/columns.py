"""The columns of summary.csv, and the checks that a sound design passes."""

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

COLUMNS = (
    *("design", "rank", "cluster", "failed", "binder_length", "target_residues"),
    *("bonds_off", "angles_off", "ca_steps_off", "chirality_off"),
    *(
        "clashes_inside",
        "clashes_target",
        "clashes_sidechain",
        "rg",
        "rg_expected",
        "helix",
        "strand",
        "loop",
    ),
    *("contacts", "hotspots_contacted", "target_rmsd"),
)
# what a sound design passes; the column `failed` names those it does not
CHECKS: dict[str, Callable[[Row], bool]] = {
    "bonds": lambda r: r["bonds_off"] <= 0.02,
    "angles": lambda r: r["angles_off"] <= 0.05,
    "ca_steps": lambda r: r["ca_steps_off"] <= 0.02,
    "chirality": lambda r: r["chirality_off"] == 0,
    "clashes": lambda r: r["clashes_inside"] + r["clashes_target"] == 0,
    "rg": lambda r: abs(r["rg"] / r["rg_expected"] - 1) <= 0.25,
    "structure": lambda r: r["helix"] + r["strand"] >= 0.5,
    "contacts": lambda r: r["contacts"] >= 10,
    "hotspots": lambda r: r["hotspots_contacted"] is None or r["hotspots_contacted"] > 0,
    "target": lambda r: r["target_rmsd"] is None or r["target_rmsd"] <= 1.0,
}
