"""Make pxtools/data/residues.json: the 20 amino acids of the Chemical Component Dictionary.

    pip download --no-deps biotite && unzip biotite-*.whl biotite/structure/info/components.bcif
    python tools/make_residues.py biotite/structure/info/components.bcif

Heavy atoms in CCD order with element, formal charge and ideal coordinates (Å).
Needs msgpack and numpy.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

AMINO_ACIDS = tuple(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()  # noqa: SIM905
)
TYPES = {1: "i1", 2: "<i2", 3: "<i4", 4: "u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}


def decode(data: Any, encodings: list[dict[str, Any]]) -> Any:
    """Undo BinaryCIF encodings (Sehnal et al. 2020), last one first."""
    for enc in reversed(encodings):
        kind = enc["kind"]
        if kind == "ByteArray":
            data = np.frombuffer(data, TYPES[enc["type"]])
        elif kind == "FixedPoint":
            data = data.astype(float) / enc["factor"]
        elif kind == "RunLength":
            data = np.repeat(data[::2], data[1::2])
        elif kind == "Delta":
            data = np.cumsum(data) + enc["origin"]
        elif kind == "IntegerPacking":
            data = unpack_integers(data, enc)
        elif kind == "StringArray":
            indices = decode(data, enc["dataEncoding"])
            offsets = decode(enc["offsets"], enc["offsetEncoding"])
            text = enc["stringData"]
            words = [text[a:b] for a, b in pairwise(offsets)] + [""]
            data = np.array(words)[indices]
    return data


def unpack_integers(data: np.ndarray, enc: dict[str, Any]) -> np.ndarray:
    limits = np.iinfo(data.dtype)
    out, total = [], 0
    for value in data.tolist():
        total += value
        if value != limits.max and (enc["isUnsigned"] or value != limits.min):
            out.append(total)
            total = 0
    return np.array(out)


def main() -> None:
    raw = msgpack.unpackb(Path(sys.argv[1]).read_bytes())
    (category,) = [
        c for c in raw["dataBlocks"][0]["categories"] if c["name"].endswith("chem_comp_atom")
    ]
    table = {
        c["name"]: decode(c["data"]["data"], c["data"]["encoding"]) for c in category["columns"]
    }
    residues = {}
    for name in AMINO_ACIDS:
        rows = np.flatnonzero((table["comp_id"] == name) & (table["type_symbol"] != "H"))
        column = {k: v[rows].tolist() for k, v in table.items()}
        xyz = [column[f"pdbx_model_Cartn_{x}_ideal"] for x in "xyz"]
        residues[name] = {
            "atoms": column["atom_id"],
            "elements": column["type_symbol"],
            "charges": [int(c) for c in column["charge"]],
            "ideal": [[round(float(v), 3) for v in p] for p in zip(*xyz, strict=True)],
        }
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in residues.items())
    out = Path(__file__).parent.parent / "pxtools" / "data" / "residues.json"
    out.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
