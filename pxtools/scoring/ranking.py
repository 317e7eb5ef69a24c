"""Which designs are best, and which are alike."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pxtools.scoring.clusters import lead_by_rmsd
from pxtools.scoring.columns import Scores
from pxtools.scoring.processes import leaders_of_folds


def best_first(row: Scores) -> tuple[int, float, int, str]:
    """Sort key, a total order: fewest failed checks, most hotspots, most contacts, then name."""
    return (len(row.failures), -(row.hotspots_contacted or 0), -row.contacts, row.design)


CLUSTER_RMSD = 2.0  # Å, over the binder's CA atoms
FOLD_TM_SCORE = 0.5  # Zhang & Skolnick 2004: of about the same fold


def ranked(
    rows: Iterable[Scores], binders: Mapping[str, np.ndarray], folding: int = 0
) -> list[Scores]:
    """The rows with `rank`, `cluster` and, by so many processes, `fold`, best first.

    A design leads a cluster unless a better leader of its length is within 2 Å of CA RMSD, and its
    cluster founds a fold unless a better one has a TM-score of 0.5; a design that is not in
    `binders` keeps the cluster and fold it had.
    """
    done = [replace(row, rank=place) for place, row in enumerate(sorted(rows, key=best_first), 1)]
    known = [i for i, row in enumerate(done) if row.design in binders]
    places = [binders[done[i].design] for i in known]
    clusters, cluster = np.unique(lead_by_rmsd(places, CLUSTER_RMSD), return_inverse=True)
    for i, number in zip(known, cluster.tolist(), strict=True):
        done[i] = replace(done[i], cluster=number + 1)
    if folding:
        leaders = leaders_of_folds([places[i] for i in clusters], FOLD_TM_SCORE, folding)
        fold = np.unique(leaders, return_inverse=True)[1]
        for i, number in zip(known, cluster.tolist(), strict=True):
            done[i] = replace(done[i], fold=int(fold[number]) + 1)
    return done
