"""px-pick: the few designs to order."""

from __future__ import annotations

from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import in_columns, say, warn
from pxtools.errors import InputError


@arg("folders", nargs="*", help="results folders, as many as you like; none: results/")
@arg("-n", "--number", type=int, help="how many to choose; default: all that fulfil --where")
@arg("--where", help="a condition, such as: strand > 0.1 and failed == ''")
@arg(
    "--by",
    help="order, highest first: a column, or an expression such as -rg or contacts / binder_length",
)
@arg("--diverse", type=float, help="weight of being unlike the designs already chosen, 0 to 1")
@arg("--unlike", choices=["fold", "interface"], help="compare folds (TM-score) or interfaces")
@arg("-o", "--output", help="copy the chosen CIFs to this folder, with a table and a PyMOL script")
@arg("--columns", help="list the columns and what they mean")
@arg("-q", "--quiet", help="print only the paths; warnings are still shown")
def px_pick(
    *folders: str,
    number: int | None = None,
    where: str | None = None,
    by: str | None = None,
    diverse: float | None = None,
    unlike: str = "fold",
    output: str | None = None,
    columns: bool = False,
    quiet: bool = False,
) -> None:
    """Choose designs and print the paths of their CIFs, best first.

    Without --by the order is px-score's: fewest failed checks, most hotspots, most contacts.
    The same designs give the same picks.
    """
    from pxtools.machine import cores
    from pxtools.picking.choosing import PickRequest, check_weight, pick
    from pxtools.picking.expressions import condition, quantity
    from pxtools.picking.handing_over import hand_over
    from pxtools.runs.folder import find_runs
    from pxtools.runs.tables import columns_of
    from pxtools.scoring.columns import Scores
    from pxtools.scoring.summary import How

    known = columns_of(Scores)
    if columns:
        for line in in_columns([[c.name, c.unit, c.meaning] for c in known]):
            print(line)
        return
    if number is not None and number < 1:
        raise InputError.of_option("--number", "1 or more", number)
    found = [run for folder in folders or ["results"] for run in find_runs(Path(folder))]
    request = PickRequest(
        runs=list({run.path.resolve(): run for run in found}.values()),
        n=number,
        where=[condition("--where", where, known)] if where else [],
        by=quantity("--by", by, known) if by else None,
        diverse=None if diverse is None else check_weight(diverse),
        difference=unlike,
        how=How(processes=cores()),
    )
    picked = pick(request)
    if picked.without_file:
        warn(f"{picked.without_file} designs have no CIF and are left out (px-write-cif writes it)")
    if picked.without_value:
        warn(f"--by {by}: {picked.without_value} designs have no value of it and come last")
    if number is not None and picked.fulfil < number:
        warn(f"only {picked.fulfil} of {picked.designs} designs fulfil what was asked for")
    if output:
        hand_over(picked.picks, Path(output))
    if not quiet:
        chosen = f"{len(picked.picks)} of {picked.fulfil} that fulfil it, of {picked.designs}"
        say(f"✓ Picked {chosen} designs" + (f": {output}" if output else ""))
    for candidate in picked.picks:
        print(candidate.path)


def main() -> None:
    cli.run(px_pick, "pxtools.picking.choosing")


if __name__ == "__main__":
    main()
