"""The sizes of PXDesign-d, and the help that a model of it asks the sampler for."""

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
            elif kinds[key] == "float":
                value = _noise_level(key, value)
            made[key] = value
        if made.get("target_atoms", "all") not in ("all", "backbone"):
            raise ValueError(f"target_atoms is {made['target_atoms']!r}, not all or backbone")
        return cls(**made)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads."""
        return asdict(self)


@dataclass(frozen=True)
class Help:
    """What a model asks the sampler for (sampling/guidance.py); the published one has neither."""

    mirror_check: bool = False
    clash_guide: bool = False


@dataclass(frozen=True)
class Configuration:
    """What a model's file says of it, flat in one JSON object."""

    model_type: str  # the module of pxtools.network that has its architecture
    sizes: Config
    help: Help

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Configuration:
        """Raises ValueError on what a configuration cannot be."""
        values = dict(values)
        model_type = values.pop("model_type", "pxdesign")  # the first models name none
        asked = {f.name: values.pop(f.name) for f in fields(Help) if f.name in values}
        for key, value in asked.items():
            if not isinstance(value, bool):
                raise ValueError(f"{key} is {value!r}, not true or false")
        return cls(model_type, Config.from_dict(values), Help(**asked))

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads."""
        return {"model_type": self.model_type, **self.sizes.to_dict(), **asdict(self.help)}


def _noise_level(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1e-3 <= value <= 1e6:
        raise ValueError(f"{name} is {value!r}, not a noise level in Å")
    return value


def _size(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65536:
        raise ValueError(f"{name} is {value!r}, not a size")
    return value
