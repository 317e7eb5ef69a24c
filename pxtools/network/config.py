"""The sizes of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Depth:
    """Size of one transformer."""

    n_blocks: int
    n_heads: int


@dataclass(frozen=True)
class Config:
    """Sizes of a model; the defaults are the released one's."""

    c_s: int = 384
    c_z: int = 128
    c_s_inputs: int = 449
    c_atom: int = 128
    c_atompair: int = 16
    c_token_embedder: int = 384
    c_token: int = 768
    c_noise: int = 256
    sigma_data: float = 16.0
    transformer: Depth = Depth(16, 16)
    atom_encoder: Depth = Depth(4, 4)
    atom_decoder: Depth = Depth(4, 4)
    condition_embedder_atom_encoder: Depth = Depth(3, 4)
    n_queries: int = 32
    n_keys: int = 128
    no_templ_bins: int = 64
    target_atoms: str = "all"
    mirror_check: bool = False  # guidance.py; the published sampler has neither
    clash_guide: bool = False

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Build from a model's configuration file; raises ValueError on what it cannot be."""
        kinds = {f.name: f.type for f in fields(cls)}
        made: dict[str, Any] = {}
        for key, value in values.items():
            if key not in kinds:
                raise ValueError(f"unknown setting {key!r}")
            if kinds[key] == "Depth":
                value = Depth(**{k: _size(f"{key}.{k}", v) for k, v in dict(value).items()})
            elif kinds[key] == "int":
                value = _size(key, value)
            elif kinds[key] == "bool" and not isinstance(value, bool):
                raise ValueError(f"{key} is {value!r}, not true or false")
            made[key] = value
        if made.get("target_atoms", "all") not in ("all", "backbone"):
            raise ValueError(f"target_atoms is {made['target_atoms']!r}, not all or backbone")
        return cls(**made)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads."""
        return asdict(self)


def _size(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65536:
        raise ValueError(f"{name} is {value!r}, not a size")
    return value
