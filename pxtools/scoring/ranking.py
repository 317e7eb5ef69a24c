"""Which designs are best, and which are alike."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pxtools.scoring.clusters import lead_by_rmsd
from pxtools.scoring.columns import Scores


def best_first(row: Scores) -> tuple[int, float, int, str]:
    """Sort key, a total order: fewest failed checks, most hotspots, most contacts, then name."""
    return (len(row.failures), -(row.hotspots_contacted or 0), -row.contacts, row.design)


CLUSTER_RMSD = 2.0  # Å, over the binder's CA atoms


def ranked(rows: Iterable[Scores], binders: Mapping[str, np.ndarray]) -> list[Scores]:
    """The rows with `rank` and `cluster`, best first.

    A design leads a cluster unless a better leader of its length is within 2 Å of CA RMSD; one
    that is not in `binders` keeps the cluster it had.
    """
    done = [replace(row, rank=place) for place, row in enumerate(sorted(rows, key=best_first), 1)]
    known = [i for i, row in enumerate(done) if row.design in binders]
    leaders = lead_by_rmsd([binders[done[i].design] for i in known], CLUSTER_RMSD)
    numbers = {leader: number for number, leader in enumerate(np.unique(leaders), 1)}
    for i, leader in zip(known, leaders, strict=True):
        done[i] = replace(done[i], cluster=numbers[leader])
    return done
