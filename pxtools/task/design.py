"""A design task made ready for a model: its features, and what its output files need."""

from dataclasses import dataclass

from pxtools.network.features import Features, featurize
from pxtools.network.weights import ModelFile
from pxtools.structure.atoms import Atoms
from pxtools.structure.residues import parent_of
from pxtools.structure.target import TargetChain
from pxtools.task.types import Task


@dataclass(frozen=True)
class Design:
    """A task as a model sees it."""

    task: Task
    features: Features
    sequences: list[list[str]]  # of the target chains, in full
    whole_target: Atoms | None  # all deposited atoms, where the model sees the backbone only

    @property
    def deposited(self) -> Atoms:
        """The target's atoms that have a place, side chains too."""
        return self.features.atoms.deposited() if self.whole_target is None else self.whole_target


def prepare(task: Task, target: tuple[TargetChain, ...], model: ModelFile) -> Design:
    """The features of a task's target as the model sees it. Raises InputError if too large."""
    seen = model.config.target_atoms
    features = featurize(target, task.binder_length, seen, model.conformers)
    whole = None
    if seen != "all":
        whole = featurize(target, 1).atoms.deposited()
    sequences = [[parent_of(name) or name for name in chain.sequence] for chain in target]
    return Design(task, features, sequences, whole)
