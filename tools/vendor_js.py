"""Fetch the page's JavaScript libraries again from their npm packages, and record what they are.

    tools/vendor_js.py           # the versions below, into pxtools/report/vendor
    tools/vendor_js.py --check   # that the files there are those of the packages

vendored.json beside them has name, version, licence and SHA-256 of each; a test compares.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "pxtools/report/vendor"


@dataclass(frozen=True)
class Library:
    """An npm package, and which of its files the page takes, by the name they get here."""

    package: str
    version: str
    licence: str
    files: dict[str, str]


LIBRARIES = (
    Library(
        "3dmol",
        "2.5.5",
        "BSD-3-Clause",
        {"3Dmol-min.js": "build/3Dmol-min.js", "3Dmol.LICENSE": "LICENSE"},
    ),
    Library(
        "uplot",
        "1.6.32",
        "MIT",
        {
            "uPlot.iife.min.js": "dist/uPlot.iife.min.js",
            "uPlot.min.css": "dist/uPlot.min.css",
            "uPlot.LICENSE": "LICENSE",
        },
    ),
)


def contents(library: Library) -> dict[str, bytes]:
    """The library's files as its package has them, by the name they get here."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{library.package}@{library.version}"
        command = ["npm", "pack", "--silent", "--pack-destination", folder, wanted]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            found = {
                name: package.extractfile(f"package/{at}") for name, at in library.files.items()
            }
            return {name: file.read() for name, file in found.items() if file}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    record = []
    for library in LIBRARIES:
        files = contents(library)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        record.append({**asdict(library), "sha256": digests})
        for name, data in files.items():
            path = VENDOR / name
            if not check:
                path.write_bytes(data)
            elif path.read_bytes() != data:
                sys.exit(f"{path}: not the file of {library.package} {library.version}")
    text = json.dumps(record, indent=2) + "\n"
    if not check:
        (VENDOR / "vendored.json").write_text(text)
    elif (VENDOR / "vendored.json").read_text() != text:
        sys.exit("vendored.json: not what tools/vendor_js.py writes")


if __name__ == "__main__":
    main()
