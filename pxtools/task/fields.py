"""What people type into a task's fields: chains, crops, hotspots, lengths, names, files."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pxtools.errors import InputError, shown
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import parent_of, three_letters
from pxtools.task.types import BinderLengths

LONGEST_RANGE = 1000  # of hotspots or binder lengths
A_NAME = r"[A-Za-z0-9_+=@,()-][A-Za-z0-9_.+=@,() -]{0,127}"
DASHES = str.maketrans("‐‑‒–—−", "------")  # as papers and text editors print them


HotspotNames = dict[ResidueNumber, str]


class Field(NamedTuple):
    """A place in a task file, for messages."""

    source: str
    task: str = ""  # which of several
    name: str = ""

    def __truediv__(self, name: str) -> "Field":
        return self._replace(name=f"{self.name}.{name}" if self.name else name)

    @property
    def place(self) -> str:
        return ", ".join(filter(None, (self.task, self.name)))

    def wrong(self, expected: str, found: Any) -> InputError:
        return InputError.of(self.source, self.place or "task", expected, found)


def mapping(field: Field, value: Any, example: str, known: Iterable[str] = ()) -> dict[str, Any]:
    """The named fields of `value`, none but those `known` (all, where none is named)."""
    if not isinstance(value, dict):
        raise field.wrong(example, value)
    known = list(known)
    for key in value:
        if not isinstance(key, str):
            raise field.wrong(f"names of fields, such as {example}", key)
        if known and key not in known:
            near = nearest(str(key), known)
            hint = f"; did you mean {near}?" if near else f" (known: {', '.join(known)})"
            where = f"{field.place}: " if field.place else ""
            raise InputError(f"{field.source}: {where}unknown field {shown(key)}{hint}")
    return value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant: another case, a letter or two off, or a part."""
    words = {k.lower(): k for k in known}
    lower = word.lower()
    part = [w for w in words if len(lower) > 3 and len(w) > 3 and (w in lower or lower in w)]
    near = [lower] if lower in words else part or difflib.get_close_matches(lower, words, 1, 0.7)
    return words[near[0]] if near else None


def task_name(field: Field, name: Any) -> str:
    """A task name becomes a folder and file names, so it must be a plain, portable one."""
    text = str(name) if type(name) is int else name  # 2024 is a name
    if not isinstance(text, str) or not re.fullmatch(A_NAME, text) or text[-1] in ". ":
        raise field.wrong(
            "a plain file name (letters, digits, _ - . and no slash, at most 128)", name
        )
    return text


def chain_name(field: Field, chain: Any) -> str:
    text = str(chain) if type(chain) is int else chain  # JSON: a chain called 1
    if not isinstance(text, str) or not text.strip() or len(text) > 16:
        raise field.wrong("a chain name such as A", chain)
    return text


def structure_file(field: Field, base: Path, text: Any) -> Path:
    """A relative path is tried beside the task file first, then in the working directory."""
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise field.wrong("the path of an mmCIF or PDB file, such as target.cif", text)
    try:
        path = Path(text).expanduser()
        tried = [path] if path.is_absolute() else [base / path, path]
        for candidate in tried:
            if candidate.is_file():
                return candidate
        places = " or ".join(dict.fromkeys(map(str, tried)))
        if folder := next((c for c in tried if c.is_dir()), None):
            raise field.wrong("an mmCIF or PDB file", f"the folder {folder}")
        near = next(filter(None, map(file_beside, tried)), None)
    except (OSError, RuntimeError) as error:  # too long, a folder that may not be read, ~nobody
        raise field.wrong("an mmCIF or PDB file", f"{text} ({error})") from None
    hint = f" (did you mean {near}?)" if near else ""
    raise field.wrong(f"an existing mmCIF or PDB file{hint}", f"no file at {places}")


def file_beside(path: Path) -> Path | None:
    """A file of nearly that name in the same folder."""
    try:
        names = [p.name for p in path.parent.iterdir() if p.is_file()]
    except OSError:
        return None
    stems = {n.lower().removesuffix(".gz").rpartition(".")[0]: n for n in sorted(names)}
    stem = path.name.lower().removesuffix(".gz").rpartition(".")[0]
    near = nearest(path.name, names) or stems.get(stem)
    return path.parent / near if near else None


def is_whole(value: Any) -> bool:
    """Whether a chain or a crop is asked for in full: nothing, true, all, full, in any case."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return (
        value is None
        or value is True
        or value in ([], {})
        or (isinstance(value, str) and value.strip().lower() in ("all", "full"))
    )


def crop(field: Field, chain: str, value: Any) -> tuple[tuple[int, int], ...] | None:
    """`all`, "1-50,80-100", or a list of such; a single number is a range of one."""
    if is_whole(value):
        return None
    example = "residue ranges such as 1-50,80-100, or all"
    if isinstance(value, dict | bool):
        raise field.wrong(example, value)
    parts = _parts(value)
    if len(parts) == 2 and isinstance(value, list) and all(p.isdigit() for p in parts):
        found = f"[{', '.join(parts)}]"
        raise field.wrong(f'"{"-".join(parts)}" (a list keeps just its residues)', found)
    ranges = []
    for part in parts:
        match = re.fullmatch(r"(-?\d{1,6})(?:\s*-\s*(-?\d{1,6}))?", _without(chain, part))
        if not match:
            meant = re.fullmatch(r"(-?\d{1,6})\s*(?::|\.\.|to)\s*(-?\d{1,6})", part)
            if re.search(r"\d[A-Za-z]", part):
                example += " (a number keeps its insertion codes, too)"
            raise field.wrong(f"{meant[1]}-{meant[2]}" if meant else example, part)
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise field.wrong(f"a range from low to high, {high}-{low}", part)
        ranges.append((low, high))
    return tuple(ranges)


def hotspots(field: Field, chain: str, value: Any, chains: Iterable[str]) -> HotspotNames:
    """Numbers as people write them: 40, 99A, "40,99", A40, LYS15, K15, 40-45.

    With each the residue it is said to be (LYS of LYS15), else "". `chains` are all of the task's.
    """
    example = "residue numbers such as 40, 99"
    if isinstance(value, dict | bool):
        raise field.wrong(example, value)
    numbers: dict[ResidueNumber, str] = {}
    for part in [] if value is None else _parts(value):
        match = re.fullmatch(
            r"(?:([A-Za-z]{1,4})[ :_.]?)?(-?\d{1,6}[A-Za-z]?)(?:\s*-\s*(-?\d{1,6}))?",
            _without(chain, part),
        )
        if match and match[1] and match[1] != chain and match[1] in chains:
            raise field.wrong(f"residues of chain {chain} (write it under {match[1]})", part)
        name = _residue_name(match[1]) if match and match[1] else ""
        if not match or name is None or (name and match[3]):
            raise field.wrong(f"{example} of chain {chain}", part)
        first = ResidueNumber.read(match[2])
        last = int(match[3] or first.number)
        if match[3] and (first.insertion or not 0 < last - first.number < LONGEST_RANGE):
            raise field.wrong("a range from low to high such as 40-45", part)
        later = map(ResidueNumber, range(first.number + 1, last + 1))
        numbers |= {number: name or numbers.get(number, "") for number in (first, *later)}
    return numbers


def _residue_name(letters: str) -> str | None:
    """LYS of LYS, Lys or K; None where it is no amino acid."""
    return three_letters(letters) if len(letters) == 1 else parent_of(letters.upper())


def _parts(value: Any) -> list[str]:
    """The items of a list or of a text with commas."""
    items = value if isinstance(value, list) else [value]
    return [p.translate(DASHES).strip() for item in items for p in str(item).split(",")]


def _without(chain: str, part: str) -> str:
    """A40 -> 40, A1-A50 -> 1-50 in chain A; 140 stays 140 in chain 1."""
    mark = "[:_.]" if chain[-1].isdigit() else "[:_.]?"
    return re.sub(rf"(^|(?<=\d-)){re.escape(chain)}{mark}(?=-?\d)", "", part)


def binder_lengths(field: Field, value: Any) -> BinderLengths:
    """80, "80", 60-100, or a list of such."""
    choices: set[int] = set()
    for part in [value] if isinstance(value, dict | bool) or value == [] else _parts(value):
        match = re.fullmatch(r"(\d{1,7})(?:\s*-\s*(\d{1,7}))?", str(part))
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if low < 1:
            raise field.wrong("a number of residues such as 80, 60-100 or [60, 80, 100]", value)
        if not low <= high < low + LONGEST_RANGE:
            raise field.wrong("a range from low to high such as 60-100", value)
        choices.update(range(low, high + 1))
    return BinderLengths(tuple(sorted(choices)))
