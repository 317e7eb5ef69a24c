"""What the benchmarks design binders for: chains of 1BD2."""

import json
import tempfile
from pathlib import Path

from pxtools.structure.target import TargetChain
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target

STRUCTURES = Path(__file__).parent.parent / "tests" / "data" / "structures"
# about so many tokens: the chains and a binder
SIZES = {
    200: ({"A": "1-120"}, 80),
    400: ({"D": "", "E": "1-116"}, 80),
    700: ({"A": "", "B": "", "D": ""}, 130),
}


def target(n_tokens: int) -> tuple[tuple[TargetChain, ...], int]:
    """And the length of the binder."""
    crop, length = SIZES[n_tokens]
    return read("1BD2.cif.gz", crop), length


def read(structure: str, crop: dict[str, str]) -> tuple[TargetChain, ...]:
    pick = {"chain_id": list(crop), "crop": {k: v for k, v in crop.items() if v}}
    task = {
        "name": "bench",
        "condition": {"structure_file": str(STRUCTURES / structure), "filter": pick},
        "generation": [{"type": "protein", "length": 9}],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([task], file)
        file.flush()
        return read_target(read_tasks(file.name)[0])
