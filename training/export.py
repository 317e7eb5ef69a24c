"""Make the embedded model of trained weights, in float16, its configuration in the file.

python training/export.py training/run pxtools/data/nano.safetensors
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pxtools.network.config import Config, Configuration, Help

HELP = Help(mirror_check=True, clash_guide=True)
PROVENANCE = (
    "demonstration model: PXDesign-d made small, trained for some hours on two CPU cores "
    "on wwPDB backbones (docs/nano.md)"
)


def export(weights: dict[str, Tensor], sizes: Config, target: Path) -> None:
    weights = {k: w.to(torch.float16) for k, w in weights.items()}
    config = json.dumps(Configuration("pxdesign", sizes, HELP).to_dict())
    metadata = {"config": config, "name": target.stem, "provenance": PROVENANCE}
    save_file(weights, target, metadata=metadata)
    target.chmod(0o644)


def main() -> None:
    run, target = map(Path, sys.argv[1:])
    config = Configuration.from_dict(json.loads((run / "config.json").read_text()))
    export(load_file(run / "best.safetensors"), config.sizes, target)


if __name__ == "__main__":
    main()
