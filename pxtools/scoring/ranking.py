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

    A design leads a cluster unless a better leader of its length is within 2 Å of CA RMSD; one
    that is not in `binders` keeps the cluster it had.
    """
    leaders: dict[int, list[np.ndarray]] = {}  # by length
    numbers: dict[int, list[int]] = {}
    count, done = 0, []
    for place, row in enumerate(sorted(rows, key=best_first), 1):
        cluster, ca = row.cluster, binders.get(row.design)
        if ca is not None:
            ca = ca - ca.mean(0)
            own, own_numbers = leaders.setdefault(len(ca), []), numbers.setdefault(len(ca), [])
            others = np.array(own).reshape(-1, *ca.shape)
            near = np.flatnonzero(rmsds(ca, others) <= CLUSTER_RMSD)
            if not len(near):
                count += 1
                own.append(ca)
                own_numbers.append(count)
            cluster = own_numbers[near[0]] if len(near) else count
        done.append(replace(row, rank=place, cluster=cluster))
    return done
