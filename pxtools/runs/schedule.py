"""Noise levels and step scales of the sampler (AF3 Alg. 18, PXDesign's schedules)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pxtools.errors import InputError

if TYPE_CHECKING:
    import numpy as np

SIGMA_DATA, S_MAX, S_MIN, RHO = 16.0, 160.0, 4e-4, 7
MAX_STEPS = 100_000


@dataclass(frozen=True)
class Schedule:
    """What decides the sampler's steps; the defaults are the released model's."""

    N_step: int = 400
    eta_type: str = "piecewise_65"
    eta_min: float = 1.0
    eta_max: float = 2.5
    gamma0: float = 1.0
    gamma_min: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.N_step <= MAX_STEPS:
            raise InputError.of_option("--N_step", f"1 to {MAX_STEPS:,}", self.N_step)
        if self.eta_type not in ETA_SHAPES:
            raise InputError.of_option(
                "--eta_type", f"{', '.join(ETA_SHAPES)} or const_2.5", self.eta_type
            )
        for name in ("eta_min", "eta_max", "gamma0", "gamma_min"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 1000):
                raise InputError.of_option(f"--{name}", "a number from 0 to 1000", value)

    @property
    def name(self) -> str:
        """piecewise_65 (the default), const_2.5 (the published command line's), or what it is."""
        if self.eta_type == "const":
            return f"const_{self.eta_min:g}"
        if self == Schedule(N_step=self.N_step, gamma0=self.gamma0, gamma_min=self.gamma_min):
            return self.eta_type
        return f"{self.eta_type} from {self.eta_min:g} to {self.eta_max:g}"

    def levels(self) -> np.ndarray:
        """Noise levels in Å, (N_step + 1,), from 2560 down to 0."""
        import numpy as np  # only looking at a run needs none

        i = np.arange(self.N_step + 1) / self.N_step
        top, bottom = S_MAX ** (1 / RHO), S_MIN ** (1 / RHO)
        levels = SIGMA_DATA * (top + i * (bottom - top)) ** RHO
        levels[-1] = 0
        return levels

    def eta(self, i: int) -> float:
        """Step scale of step i, counted from 0."""
        shape = ETA_SHAPES[self.eta_type](i / (self.N_step + 1))
        return self.eta_min + (self.eta_max - self.eta_min) * shape


ETA_SHAPES: dict[str, Callable[[float], float]] = {
    "const": lambda t: 0.0,
    "linear": lambda t: t,
    "poly": lambda t: t * t,
    "cos": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "piecewise": lambda t: float(t >= 0.5),
    "piecewise_65": lambda t: float(t >= 0.65),
    "piecewise_70": lambda t: float(t >= 0.70),
}
