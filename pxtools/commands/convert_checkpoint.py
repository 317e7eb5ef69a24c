"""px-convert-checkpoint: published PyTorch files to models of these tools."""

from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import say


@arg("checkpoint", help="pxdesign_v0.1.0.pt, another of PXDesign-d, or v_48_020.pt of ProteinMPNN")
@arg(
    "-o",
    "--out",
    help="model folder; default: named like the checkpoint, where the tools look for models",
)
@arg("--dtype", choices=["float32", "float16", "bfloat16"], help="precision of the stored weights")
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
    from pxtools.conversion.checkpoints import ConvertRequest, convert

    request = ConvertRequest(
        checkpoint=Path(checkpoint),
        folder=Path(out) if out else None,
        dtype=dtype,
        target_atoms=target_atoms,
        ccd_cache=Path(ccd_cache) if ccd_cache else None,
    )
    converted = convert(request)
    say(f"{request.checkpoint.name}: sha256 {converted.digest}: {converted.about}")
    print(converted.model)


def main() -> None:
    cli.run(px_convert_checkpoint, "pxtools.conversion.checkpoints")


if __name__ == "__main__":
    main()
