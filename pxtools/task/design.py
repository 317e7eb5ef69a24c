"""A design task made ready for a model: its features, and what its output files need."""

from dataclasses import dataclass, replace

from pxtools.errors import InputError
from pxtools.network.features import Features, featurize
from pxtools.network.weights import ModelFile
from pxtools.structure.atoms import Atoms
from pxtools.structure.residues import parent_of
from pxtools.structure.target import TargetChain
from pxtools.task.types import Task

MAX_TOKENS = 5000  # pair tensors grow with its square


@dataclass(frozen=True)
class Design:
    """A task as a model sees it."""

    task: Task
    target: tuple[TargetChain, ...]
    model: ModelFile
    features: Features  # with the longest binder that the task asks for, or `of_length`
    sequences: list[list[str]]  # of the target chains, in full
    whole_target: Atoms | None  # all deposited atoms, where the model sees the backbone only

    @property
    def deposited(self) -> Atoms:
        """The target's atoms that have a place, side chains too."""
        return self.features.atoms.deposited() if self.whole_target is None else self.whole_target

    def of_length(self, binder_length: int) -> "Design":
        """The same with a binder of so many residues."""
        return replace(self, features=_features(self.target, binder_length, self.model))


def prepare(task: Task, target: tuple[TargetChain, ...], model: ModelFile) -> Design:
    """The features of a task's target and its longest binder as the model sees them.

    Raises InputError if they are too large.
    """
    _check_size(sum(len(part.residues) for part in target) + task.binder_lengths.longest, model)
    features = _features(target, task.binder_lengths.longest, model)
    whole = None
    if model.config.target_atoms != "all":
        whole = featurize(target, 1).atoms.deposited()
    sequences = [[parent_of(name) or name for name in chain.sequence] for chain in target]
    return Design(task, target, model, features, sequences, whole)


def _features(target: tuple[TargetChain, ...], length: int, model: ModelFile) -> Features:
    return featurize(target, length, model.config.target_atoms, model.conformers)


def _check_size(n_tokens: int, model: ModelFile) -> None:
    if n_tokens > MAX_TOKENS:
        raise InputError(
            f"target and binder have {n_tokens:,} residues; the limit is {MAX_TOKENS:,} "
            f"(they would need some {model.memory(n_tokens):,.0f} GB of memory): crop the target "
            "or shorten the binder"
        )
