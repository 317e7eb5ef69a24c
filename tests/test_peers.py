"""`just bench peers` refuses in a line; what it measures needs PyTorch and the published code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA

BENCH = DATA.parent.parent / "tools" / "bench.py"


def refused(*words: str, path: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, str(BENCH), "peers", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("missing", ["PXDesign/pxdesign", "Protenix/protenix"])
def test_a_checkout_that_is_not_there_is_named(tmp_path: Path, missing: str) -> None:
    for part in {"PXDesign/pxdesign", "Protenix/protenix"} - {missing}:
        (tmp_path / part).mkdir(parents=True)
    assert str(tmp_path / missing) in refused("--published", str(tmp_path), path=tmp_path)


def test_it_asks_for_the_checkouts(tmp_path: Path) -> None:
    assert "--published DIR" in refused(path=tmp_path)


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    for part in ("PXDesign/pxdesign", "Protenix/protenix"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "torch.py").write_text("import a_package_of_theirs\n")
    line = refused("--published", str(tmp_path), "--cases", "200x1", path=tmp_path)
    assert "needs a_package_of_theirs" in line and sys.executable in line
