"""px-convert-checkpoint: the published PyTorch checkpoint to a model of these tools."""

from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import say
from pxtools.errors import InputError


@arg("checkpoint", help="pxdesign_v0.1.0.pt, or another checkpoint of PXDesign-d")
@arg("-o", "--out", help="model folder; default: named as the checkpoint, where px-sample looks")
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
    from pxtools.conversion.pxdesign import KNOWN_DIGESTS, convert
    from pxtools.network.conformers import read_ccd_cache
    from pxtools.network.weights import weights_folder

    path = Path(checkpoint)
    if not path.is_file():
        raise InputError.of(path, "checkpoint", "an existing .pt file", "none")
    conformers = read_ccd_cache(Path(ccd_cache)) if ccd_cache else None
    folder = Path(out) if out else weights_folder() / path.stem
    model, digest, config = convert(path, folder, dtype, target_atoms, conformers)
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
