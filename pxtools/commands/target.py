"""px-target: look at a task before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import say, warn
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.task.inspection import Check


@arg("structure", nargs="?", help="an mmCIF or PDB file, in place of tasks: print a task for it")
@arg("-i", "--input-json-path", help="design tasks, JSON or YAML (- for stdin)")
@arg("-o", "--dump-dir", help="also write NAME_parsed_target.cif and .pml (for PyMOL) there")
@arg("-m", "--model", help="name, folder or .safetensors file")
def px_target(
    structure: str | None = None,
    *,
    input_json_path: str | None = None,
    dump_dir: str | None = None,
    model: str | None = None,
) -> None:
    """Check design tasks without running anything; show what the model will see of each target.

    Of a structure, print the beginning of a task: all its protein chains and their numbers.
    """
    if structure is not None:
        from pxtools.task.draft import draft

        if structure.lower().endswith((".yaml", ".yml", ".json")):
            raise InputError(f"{structure}: give a task with -i: px-target -i {structure}")
        if input_json_path or dump_dir or model:
            raise InputError("give either a structure or a task (-i), and -o and -m with a task")
        print(draft(Path(structure)))
        return
    if input_json_path is None:
        raise InputError("give a task to check (-i TASK), or a structure to begin one with")
    _check(input_json_path, dump_dir, model)


def _check(input_json_path: str, dump_dir: str | None, model: str | None) -> None:
    from pxtools.network.weights import read_model
    from pxtools.task.inspection import check, report, warnings
    from pxtools.task.reading import read_tasks

    if dump_dir == "":
        raise InputError.of_option("-o", "a folder such as look/", "nothing")
    model_file = read_model(model)
    checks = [check(task, model_file) for task in read_tasks(input_json_path)]
    for number, checked in enumerate(checks):
        print(("\n" if number else "") + report(checked), flush=True)
        for line in warnings(checked):
            warn(f"{checked.design.task.name}: {line}")
        if dump_dir:
            _write(checked, Path(dump_dir))


def _write(checked: Check, folder: Path) -> None:
    from pxtools.network.features import featurize
    from pxtools.runs.design_cif import target_cif
    from pxtools.runs.files import make_folder, write_atomically
    from pxtools.task.inspection import pymol_script

    name = checked.design.task.name
    cif, script = folder / f"{name}_parsed_target.cif", folder / f"{name}_parsed_target.pml"
    make_folder(folder)
    atoms = featurize(checked.design.target, 1).atoms.deposited()
    write_atomically(cif, target_cif(atoms, checked.design.sequences, name))
    write_atomically(script, pymol_script(checked, cif).encode())
    say(f"✓ Wrote {cif} and {script}")


def main() -> None:
    cli.run(px_target, "pxtools.task.inspection")


if __name__ == "__main__":
    main()
