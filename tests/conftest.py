import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from pxtools.machine import cores

pytest_plugins = ["tiny_model", "browser"]
# how long an example takes is the machine's affair
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")
DATA = Path(__file__).parent / "data"
STRUCTURES = DATA / "structures"
# fixture -> the structure its task is about
STRUCTURE_OF = {
    "bpti": "5PTI.cif.gz",
    "pmhc": "1BD2.cif.gz",
    "tcr_gaps": "1BD2.cif.gz",
    "pmhc_pdb": "1BD2_AC.pdb.gz",
}
TaskFile = Callable[..., str]


@pytest.hookimpl(optionalhook=True)  # without xdist there is none
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait, for a cluster, a browser or a clock."""
    return cores() + 1


def fixture_task(name: str) -> dict[str, Any]:
    """The task of a feature fixture, its structure path filled in."""
    task: dict[str, Any] = json.loads((DATA / "features" / f"{name}.task.json").read_text())
    task["condition"]["structure_file"] = str(STRUCTURES / STRUCTURE_OF[name])
    if name == "pmhc_pdb":  # the published parser renames a PDB file's chains; we keep A and C
        task["condition"]["filter"]["chain_id"] = ["A", "C"]
    return task


@pytest.fixture
def task_file(tmp_path: Path) -> TaskFile:
    """Writes a task list as JSON, returns the file's path."""

    def write(*tasks: object, name: str = "design.json") -> str:
        path = tmp_path / name
        path.write_text(json.dumps(list(tasks)))
        return str(path)

    return write


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / name) as file:
        return dict(file)
