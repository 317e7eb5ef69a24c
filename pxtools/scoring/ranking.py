"""Which designs are best, and which are alike."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pxtools.scoring.columns import Scores
from pxtools.structure.geometry import rmsds


def best_first(row: Scores) -> tuple[int, float, int, str]:
    """Sort key, a total order: fewest failed checks, most hotspots, most contacts, then name."""
    return (len(row.failures), -(row.hotspots_contacted or 0), -row.contacts, row.design)


CLUSTER_RMSD = 2.0  # Å, over the binder's CA atoms


def ranked(rows: Iterable[Scores], binders: dict[str, np.ndarray]) -> list[Scores]:
    """The rows with `rank` and `cluster`, best first.

    A design leads a cluster unless a better leader is within 2 Å of CA RMSD; one that is not in
    `binders` keeps the cluster it had.
    """
    leaders, count = np.zeros((len(binders), *next(iter(binders.values()), np.zeros(0)).shape)), 0
    done = []
    for place, row in enumerate(sorted(rows, key=best_first), 1):
        cluster, ca = row.cluster, binders.get(row.design)
        if ca is not None:
            ca = ca - ca.mean(0)
            near = np.flatnonzero(rmsds(ca, leaders[:count]) <= CLUSTER_RMSD)
            if not len(near):
                leaders[count] = ca
                count += 1
            cluster = int(near[0]) + 1 if len(near) else count
        done.append(replace(row, rank=place, cluster=cluster))
    return done
