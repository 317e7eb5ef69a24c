"""The example: a task and its target, which come with the tools."""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def example_task() -> Path:
    """examples/bpti.yaml, beside the package in a checkout and inside it when installed."""
    inside = PACKAGE / "examples"
    return (inside if inside.is_dir() else PACKAGE.parent / "examples") / "bpti.yaml"
