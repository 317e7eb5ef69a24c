"""The training curves as a picture: python training/plot.py LOG.jsonl PICTURE.svg

A line of the log with "changed" tells of a change of recipe, after which the held-out cases differ.
Where few structures were overfitted (train.py --overfit), their curves stand beside.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

BANDS = ("noise under 1 Å", "1-6 Å", "6-25 Å", "over 25 Å")
CURVES = {"bands": "held-out structures", "own_bands": "those it was trained on"}


def main() -> None:
    log, picture = sys.argv[1:]
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    points = [line for line in lines if "bands" in line]
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True)
    for band, (name, axis) in enumerate(zip(BANDS, axes.flat, strict=True)):
        for key, label in CURVES.items():
            if key in points[0]:
                found = [p[key][band] for p in points]
                axis.plot([p["step"] for p in points], found, ".-", ms=3, label=label)
        axis.set_title(name, fontsize=10)
        axis.set_ylabel("RMSE per axis, Å")
        for line in lines:
            if "changed" in line:
                axis.axvline(line["step"], color="grey", lw=0.7, ls=":")
    changed = " (dotted: the recipe changed)" if len(points) < len(lines) else ""
    for axis in axes[1]:
        axis.set_xlabel(f"steps{changed}")
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("Error of nano's denoiser")
    figure.tight_layout()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
