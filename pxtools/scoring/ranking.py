"""Which designs are best, and which are alike."""

from collections.abc import Iterable

import numpy as np

from pxtools.scoring.columns import Row
from pxtools.structure.geometry import rmsds


def best_first(row: Row) -> tuple[int, float, int, str]:
    """Sort key, a total order: fewest failed checks, most hotspots, most contacts, then name."""
    checks_failed = len(row["failed"].split())
    return (checks_failed, -(row["hotspots_contacted"] or 0), -row["contacts"], row["design"])


CLUSTER_RMSD = 2.0  # Å, over the binder's CA atoms


def rank(rows: Iterable[Row], binders: dict[str, np.ndarray]) -> None:
    """Set `rank`, best first, and `cluster`: the first design within 2 Å of CA RMSD leads it."""
    leaders, count = np.zeros((len(binders), *next(iter(binders.values()), np.zeros(0)).shape)), 0
    for place, row in enumerate(sorted(rows, key=best_first), 1):
        row["rank"] = place
        ca = binders.get(row["design"])
        if ca is None:
            continue
        ca = ca - ca.mean(0)
        near = np.flatnonzero(rmsds(ca, leaders[:count]) <= CLUSTER_RMSD)
        if not len(near):
            leaders[count] = ca
            count += 1
        row["cluster"] = int(near[0]) + 1 if len(near) else count
