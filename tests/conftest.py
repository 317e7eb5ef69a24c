from pxtools import blas  # isort: skip  # before mlx

import json
from pathlib import Path

import numpy as np
import pytest

assert blas

DATA = Path(__file__).parent / "data"
STRUCTURES = DATA / "structures"
# fixture -> the structure its task is about
STRUCTURE_OF = {
    "bpti": "5PTI.cif.gz",
    "pmhc": "1BD2.cif.gz",
    "tcr_gaps": "1BD2.cif.gz",
    "pmhc_pdb": "1BD2_AC.pdb.gz",
}


def fixture_task(name: str) -> dict:
    """The task of a feature fixture, its structure path filled in."""
    task = json.loads((DATA / "features" / f"{name}.task.json").read_text())
    task["condition"]["structure_file"] = str(STRUCTURES / STRUCTURE_OF[name])
    if name == "pmhc_pdb":  # the published parser renames a PDB file's chains; we keep A and C
        task["condition"]["filter"]["chain_id"] = ["A", "C"]
    return task


@pytest.fixture
def task_file(tmp_path):
    """Writes a task list as JSON, returns the file's path."""

    def write(*tasks, name="design.json") -> str:
        path = tmp_path / name
        path.write_text(json.dumps(list(tasks)))
        return str(path)

    return write


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / name) as file:
        return dict(file)
