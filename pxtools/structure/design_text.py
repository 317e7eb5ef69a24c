"""Designs as px-write-cif writes them, read fast: those of a run differ in coordinates alone."""

import re
from dataclasses import dataclass, replace

import numpy as np

from pxtools.errors import InputError
from pxtools.structure import backbone
from pxtools.structure.complex import Complex, read_complex, read_facts

COLUMN = re.compile(rb"^_atom_site\.(\w+)$", re.MULTILINE)
AXES = (b"Cartn_x", b"Cartn_y", b"Cartn_z")


class DesignReader:
    """`read_complex` for texts that px-write-cif made, some ten times faster.

    What the first text says of its atoms is kept, and used for the texts that say the same.
    """

    def __init__(self) -> None:
        self._layout: _Layout | None = None

    def read(self, name: str, text: bytes) -> Complex:
        """Raises InputError, as `read_complex` does."""
        first = text.find(b"\n", text.rfind(b"\n_atom_site.") + 1) + 1
        end = text.find(b"\n_pxtools_design.", first) + 1
        if not 0 < first < end:
            return read_complex(name, text)
        head, lines = text[:first], text[first:end]
        words = self._layout.coordinates(head, lines) if self._layout else None
        if words is None:
            self._layout = _Layout.of(name, head, lines)
            words = self._layout.coordinates(head, lines) if self._layout else None
        if self._layout is None or words is None:
            return read_complex(name, text)
        return self._layout.filled(name, np.fromstring(b" ".join(words), sep=" "), text[end:])


@dataclass(frozen=True)
class _Layout:
    """A design's text but for its coordinates, and which of its atoms a Complex holds where."""

    head: bytes
    template: bytes  # the atoms' lines, %b for each coordinate
    atoms: int
    width: int  # columns
    axes: tuple[int, ...]
    complex: Complex
    backbone: np.ndarray  # (n, 4) atoms by their line
    cb: np.ndarray  # (residues with a CB,)
    target: np.ndarray  # (m,)

    @classmethod
    def of(cls, name: str, head: bytes, lines: bytes) -> "_Layout | None":
        """Read the text with the number of its line as each atom's x; None if not ours."""
        tags = COLUMN.findall(head)
        axes = tuple(tags.index(axis) for axis in AXES if axis in tags)
        rows = [line.split(b" ") for line in lines.replace(b"%", b"%%").split(b"\n")[:-1]]
        if len(axes) < len(AXES) or any(len(row) != len(tags) for row in rows):
            return None
        numbered = [_with(row, axes, [b"%d" % i, b"0", b"0"]) for i, row in enumerate(rows)]
        c = read_complex(name, head + b"".join(numbered))
        template = b"".join(_with(row, axes, [b"%b"] * 3) for row in rows)
        places = (c.xyz, c.cb[c.own_cb], c.target_atoms)
        return cls(
            head, template, len(rows), len(tags), axes, c, *(p[..., 0].astype(int) for p in places)
        )

    def coordinates(self, head: bytes, lines: bytes) -> list[bytes] | None:
        """x, y, z of each atom in turn; None where anything else is not as it was."""
        words = lines.split()
        if head != self.head or len(words) != self.atoms * self.width:
            return None
        found = [b""] * (3 * self.atoms)
        for i, axis in enumerate(self.axes):
            found[i::3] = words[axis :: self.width]
        return found if self.template % tuple(found) == lines else None

    def filled(self, name: str, coordinates: np.ndarray, tail: bytes) -> Complex:
        """The Complex with these coordinates and what the text's tail says of the design."""
        places = coordinates.reshape(-1, 3)
        if not np.isfinite(places).all():
            raise InputError.of(name, "coordinates", "finite numbers in Å", "NaN or infinity")
        xyz, facts = places[self.backbone], read_facts(tail)
        cb = backbone.ideal_cb(xyz)
        cb[self.complex.own_cb] = places[self.cb]
        hotspots = np.array([key in facts.hotspots for key in self.complex.keys])
        return replace(
            self.complex,
            xyz=xyz,
            cb=cb,
            target_atoms=places[self.target],
            hotspots=hotspots,
            target_rmsd=facts.target_rmsd,
        )


def _with(row: list[bytes], axes: tuple[int, ...], values: list[bytes]) -> bytes:
    words = row.copy()
    for axis, value in zip(axes, values, strict=True):
        words[axis] = value
    return b" ".join(words) + b"\n"
