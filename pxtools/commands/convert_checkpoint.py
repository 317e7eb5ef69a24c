"""px-convert-checkpoint: published PyTorch files to models of these tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import say
from pxtools.errors import InputError

if TYPE_CHECKING:
    import numpy as np


@arg("checkpoint", help="pxdesign_v0.1.0.pt, another of PXDesign-d, or v_48_020.pt of ProteinMPNN")
@arg("-o", "--out", help="model folder; default: named as the checkpoint, where the tools look")
@arg("--dtype", choices=["float32", "float16", "bfloat16"], help="of the stored weights")
@arg("--target-atoms", choices=["all", "backbone"], help="what the model sees of target residues")
@arg("--ccd-cache", help="components.rdkit_mol.pkl: the conformers it was trained with (RDKit)")
def px_convert_checkpoint(
    checkpoint: str,
    *,
    out: str | None = None,
    dtype: str = "float32",
    target_atoms: str = "all",
    ccd_cache: str | None = None,
) -> None:
    """Convert a PyTorch checkpoint, without PyTorch; nothing in the file is executed.

    Prints the model's path.
    """
    from pxtools.conversion import protein_mpnn
    from pxtools.conversion.torch_file import read_checkpoint
    from pxtools.network.weights import weights_folder

    path = Path(checkpoint)
    if not path.is_file():
        raise InputError.of(path, "checkpoint", "an existing .pt file", "none")
    weights = read_checkpoint(path)
    folder = Path(out) if out else weights_folder() / path.stem
    if protein_mpnn.LETTERS in weights:
        file = folder / f"{path.stem}.safetensors"
        digest = protein_mpnn.convert(path, weights, file, dtype)
        known = protein_mpnn.KNOWN_DIGESTS.get(digest, "not the digest of a known file")
        say(f"{path.name}: ProteinMPNN, sha256 {digest} ({known})")
        print(file)
    else:
        _convert_pxdesign(path, weights, folder, dtype, target_atoms, ccd_cache)


def _convert_pxdesign(
    path: Path,
    weights: dict[str, np.ndarray],
    folder: Path,
    dtype: str,
    target_atoms: str,
    ccd_cache: str | None,
) -> None:
    from pxtools.conversion.pxdesign import KNOWN_DIGESTS, convert
    from pxtools.network.conformers import read_ccd_cache

    conformers = read_ccd_cache(Path(ccd_cache)) if ccd_cache else None
    model, digest, config = convert(path, weights, folder, dtype, target_atoms, conformers)
    known = KNOWN_DIGESTS.get(digest, "not the digest of a known release")
    say(f"{path.name}: sha256 {digest} ({known})")
    say(
        f"{config.transformer.n_blocks} blocks x {config.transformer.n_heads} heads, "
        f"token width {config.c_token}; reference conformers: {ccd_cache or 'CCD ideal ones'}"
    )
    print(model)


def main() -> None:
    cli.run(px_convert_checkpoint)


if __name__ == "__main__":
    main()
