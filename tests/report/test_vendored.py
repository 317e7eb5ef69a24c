"""The JavaScript libraries are the files that their packages have, with their licences."""

import hashlib
import json
from importlib.resources import files

VENDOR = files("pxtools.report").joinpath("vendor")


def test_digests() -> None:
    record = json.loads(VENDOR.joinpath("vendored.json").read_text())
    recorded = {name: digest for library in record for name, digest in library["sha256"].items()}
    held = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "vendored.json"
    }
    assert held == recorded
    assert [library["licence"] for library in record] == ["BSD-3-Clause", "MIT"]


def test_they_stand_in_a_script_element_as_they_are() -> None:
    for path in VENDOR.iterdir():
        if path.name.endswith(".js"):
            text = path.read_text("utf-8").lower()
            assert not any(mark in text for mark in ("</script", "<script", "<!--"))
        if path.name.endswith(".LICENSE"):
            assert "--" not in path.read_text("utf-8")  # they stand in a comment
