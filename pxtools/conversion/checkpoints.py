"""px-convert-checkpoint: whichever network a PyTorch checkpoint is of."""

from dataclasses import dataclass
from pathlib import Path

from pxtools.conversion import protein_mpnn, pxdesign
from pxtools.conversion.ccd_cache import read_ccd_cache
from pxtools.conversion.torch_file import read_checkpoint
from pxtools.errors import InputError
from pxtools.network.weights import weights_folder


@dataclass(frozen=True)
class ConvertRequest:
    """A checkpoint and what to make of it."""

    checkpoint: Path
    folder: Path | None = None  # None: named as the checkpoint, where the tools look
    dtype: str = "float32"  # of the stored weights
    target_atoms: str = "all"  # or backbone: what PXDesign-d sees of target residues
    ccd_cache: Path | None = None  # RDKit's conformers, which PXDesign-d was trained with


@dataclass(frozen=True)
class Converted:
    """A model's file, the SHA-256 of its checkpoint and what is known of it."""

    model: Path
    digest: str
    about: str


def convert(request: ConvertRequest) -> Converted:
    """Read a .pt file, executing nothing of it, and write a model's .safetensors file.

    Raises InputError, writing nothing, if a tensor is missing, unknown or of the wrong shape.
    """
    path = request.checkpoint
    if not path.is_file():
        raise InputError.of(path, "checkpoint", "an existing .pt file", "none")
    weights = read_checkpoint(path)
    folder = request.folder or weights_folder() / path.stem
    if protein_mpnn.LETTERS in weights:
        model = folder / f"{path.stem}.safetensors"
        digest = protein_mpnn.convert(path, weights, model, request.dtype)
        known = protein_mpnn.KNOWN_DIGESTS.get(digest, "not the digest of a known file")
        return Converted(model, digest, f"ProteinMPNN ({known})")
    conformers = read_ccd_cache(request.ccd_cache) if request.ccd_cache else None
    model, digest, sizes = pxdesign.convert(
        path, weights, folder, request.dtype, request.target_atoms, conformers
    )
    known = pxdesign.KNOWN_DIGESTS.get(digest, "not the digest of a known release")
    about = (
        f"PXDesign-d ({known}), {sizes.transformer.n_blocks} blocks x "
        f"{sizes.transformer.n_heads} heads, token width {sizes.c_token}; "
        f"reference conformers: {request.ccd_cache or 'CCD ideal ones'}"
    )
    return Converted(model, digest, about)
