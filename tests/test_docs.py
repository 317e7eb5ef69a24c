"""The pages of docs/ that are programs run as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA

ROOT = DATA.parent.parent


@pytest.mark.slow
def test_every_block_of_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PXTOOLS_WEIGHTS", "/nonexistent")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "checkpoint.pt").symlink_to(DATA / "tiny/checkpoint.pt")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for block in blocks:
        if "catch_interrupts" not in block:  # pytest has its own
            exec(block, names)
    assert names["sampled"].failed == 0
    assert names["written"].new == 2 and names["written"].missing == 0
    assert len(names["rows"]) == 2
    assert {row.number for done in names["made"] for row in done.rows} == {0, 1}
    assert names["converted"].model.is_file()
    assert "[(2, 2, True)]" in capsys.readouterr().out


def test_the_architecture_page_names_every_module() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    for module in ROOT.glob("pxtools/*/*.py"):
        if module.stem != "__init__" and module.parent.name != "commands":
            assert f"`{module.stem}`" in page, module
        assert f"`{module.parent.name}/`" in page
