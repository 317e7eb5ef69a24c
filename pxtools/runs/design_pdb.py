"""PDB files of designs: chains of one letter, the target's own where they can be kept."""

from collections.abc import Callable, Iterable
from string import ascii_letters, digits

from pxtools.errors import InputError
from pxtools.runs.chunk import Chunk
from pxtools.runs.design_cif import chains_of, gemmi_structure, placement, written_atoms

LETTERS = ascii_letters[26:] + ascii_letters[:26] + digits
SMALLEST, LARGEST = -999.999, 9999.999  # Å, what a PDB file has columns for


def pdb_writer(
    chunk: Chunk, align: bool, residue: str = "GLY", binder_first: bool = False
) -> Callable[[int], bytes]:
    """A function from the i-th design of a chunk to its PDB file.

    Raises InputError where a design does not fit into the format.
    """
    place = placement(chunk, align)
    atoms = written_atoms(chunk)
    letters = pdb_letters(chunk.record.task.chains)
    chains = [
        chain._replace(name=letter)
        for chain, letter in zip(chains_of(atoms, chunk.sequences, residue), letters, strict=True)
    ]
    if binder_first:
        chains = chains[-1:] + chains[:-1]
    order = [row for chain in chains for row in chain.rows]
    structure = gemmi_structure(atoms, chains, chunk.record.task.name)

    def write(i: int) -> bytes:
        xyz = place(i)[0]
        if xyz.min() < SMALLEST or xyz.max() > LARGEST:
            raise InputError(
                f"sample {chunk.samples[i]}: its coordinates do not fit into a PDB file "
                f"({SMALLEST} to {LARGEST} Å); px-write-cif without --pdb writes it"
            )
        for cra, row in zip(structure[0].all(), order, strict=True):
            cra.atom.pos.fromlist(xyz[row].tolist())
        return structure.make_pdb_string().encode()

    return write


def pdb_letters(target_chains: Iterable[str]) -> list[str]:
    """A letter for each target chain, its own where it has one, and one for the binder."""
    names = [*target_chains, ""]
    taken = {name for name in names if name and name in LETTERS}
    free = iter(letter for letter in LETTERS if letter not in taken)
    letters = [name if name in taken else next(free, "") for name in names]
    if not all(letters):
        raise InputError(f"{len(names)} chains do not fit into a PDB file, which has 62 letters")
    return letters
