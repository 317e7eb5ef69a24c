"""Structure files as people have them: read as they are meant, or refused in one line."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from variants import CIF, PDB, VARIANTS, Variant, file_name

from pxtools.errors import InputError
from pxtools.structure.parsing import read_structure
from pxtools.structure.residues import parent_of
from pxtools.structure.target import TargetChain
from pxtools.task.target import read_target
from pxtools.task.types import BinderLengths, ChainPick, Task


def target_of(variant: Variant, folder: Path) -> tuple[TargetChain, ...]:
    path = folder / file_name(variant)
    path.write_bytes(variant.data)
    picks = tuple(ChainPick(chain, None, ()) for chain in variant.chains)
    return read_target(Task("task.yaml", "x", path, picks, BinderLengths((9,))))


def places(variant: Variant, folder: Path) -> set[tuple[float, ...]]:
    """Where the heavy atoms of the variant's chains are."""
    target = target_of(variant, folder)
    xyz = np.concatenate([residue.xyz for chain in target for residue in chain.residues])
    return {tuple(place) for place in np.round(xyz[np.isfinite(xyz).all(1)], 3).tolist()}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_a_file_as_people_have_it(
    variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if variant.refused:
        with pytest.raises(InputError) as error:
            target_of(variant, tmp_path)
        assert variant.refused in str(error.value) and "\n" not in str(error.value)
        return
    target = target_of(variant, tmp_path)
    said = capsys.readouterr().err
    assert sum(len(chain.residues) for chain in target) == variant.residues
    assert variant.said in said and (variant.said or "modified" in said or not said)
    has_gap = variant.residues in (89, 93)
    assert ("are missing, in the chain's sequence, too" in said) == has_gap
    for part in target:
        of_atoms = {r.label_seq: r.name for r in part.residues}
        assert {n: parent_of(part.sequence[n - 1]) for n in of_atoms} == of_atoms
    whole = places(CIF[0] if variant.residues == 58 else PDB[0], tmp_path)
    if len(variant.chains) == 1:
        is_part = variant.fewer or variant.residues not in (58, 99)
        found = places(variant, tmp_path)
        assert found < whole if is_part else found == whole


def test_a_large_gz_file_is_read_in_pieces(tmp_path: Path) -> None:
    """48 MB of text must not ask for a gigabyte."""
    path = tmp_path / "large.pdb.gz"
    path.write_bytes(gzip.compress(PDB[0].data * 200, 1))
    limited = f'ulimit -v 400000; exec {sys.executable} -c "{READ}" {path}'
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True)
    assert done.stdout.strip() == str(200 * len(PDB[0].data)), done.stderr


READ = """
import sys; from pathlib import Path; from pxtools.structure.parsing import structure_text
print(len(structure_text(Path(sys.argv[1]))))"""


def test_a_gz_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.pdb.gz"
    path.write_bytes(gzip.compress(b" " * 5_000_000))
    monkeypatch.setattr("pxtools.structure.parsing.MAX_STRUCTURE_BYTES", 4_000_000)
    with pytest.raises(InputError, match="larger than 4,000,000 bytes"):
        read_structure(path)
