"""Write docs/commands/*.txt, what each tool's --help prints."""

import importlib
import tomllib
from pathlib import Path

from pxtools.commands.cli import Parser
from pxtools.commands.pxdesign import USAGE

ROOT = Path(__file__).parent.parent


def help_texts() -> dict[str, str]:
    """The --help of each tool of pyproject.toml, by its name."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return {tool: _help_of(tool, place.partition(":")[0]) for tool, place in scripts.items()}


def _help_of(tool: str, module: str) -> str:
    if tool == "pxdesign":
        return USAGE
    command = getattr(importlib.import_module(module), tool.replace("-", "_"))
    return Parser(tool, command).format_help()


if __name__ == "__main__":
    folder = ROOT / "docs/commands"
    folder.mkdir(exist_ok=True)
    for tool, text in help_texts().items():
        (folder / f"{tool}.txt").write_text(text)
