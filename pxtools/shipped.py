"""Where the files lie that come with the tools."""

from pathlib import Path

PACKAGE = Path(__file__).parent
DATA = PACKAGE / "data"


def _folder(name: str) -> Path:
    """Beside the package in a checkout, inside it when installed."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


PRESETS = _folder("presets")
EXAMPLE = _folder("examples") / "bpti.yaml"
