"""A short version of `just fuzz`, and every seed that once crashed something."""

import pytest
from fuzz import Reader, kinds, try_one

# bytes above 127 in the fixed columns of a PDB file
CRASHED = [("structure.pdb", 7), ("structure.pdb", 30), ("structure.pdb", 104)]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return kinds(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize(("kind", "seed"), CRASHED)
def test_what_once_crashed(readers: dict[str, Reader], kind: str, seed: int) -> None:
    try_one(readers[kind], kind, seed)


@pytest.mark.slow
def test_mutated_files_are_read_or_refused(readers: dict[str, Reader]) -> None:
    for name, kind in readers.items():
        for seed in range(10**6, 10**6 + 60):
            try_one(kind, name, seed)
