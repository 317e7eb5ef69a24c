"""A report of runs and of scored structures from other sources."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import gemmi

from pxtools.console import warn
from pxtools.errors import DamagedError, InputError
from pxtools.report.contents import Column, Design, Kind, Lettered, Pose, Report, Run
from pxtools.report.poses import Key, Reader, Site, read_probabilities
from pxtools.report.sources import Source, best_of, labels_of, read_sources, title_of
from pxtools.runs.chunk import read_chunk
from pxtools.runs.design_cif import target_cif
from pxtools.runs.designs import samples_of, texts_of
from pxtools.runs.folder import RunDir
from pxtools.runs.progress import RunProgress, progress_of
from pxtools.runs.record import RunJson
from pxtools.runs.sequences import table
from pxtools.runs.tables import Check, columns_of
from pxtools.runs.tables import Column as TableColumn
from pxtools.scoring.checks import limits_of, standard_limits
from pxtools.scoring.columns import Scores
from pxtools.structure.atoms import Atoms, chain_name
from pxtools.structure.parsing import parse_structure, read_structure, structure_text
from pxtools.structure.reading import Polymer, author_number, protein_chains
from pxtools.task.types import Task

FIRST = (  # what one looks at first; the other columns follow as their table has them
    *("rank", "cluster", "failed", "sequence", "mpnn_score", "helix", "strand", "contacts"),
    *("hotspots_contacted", "target_rmsd", "rg"),
)
HIDDEN = ("design", "run")  # the row's name; the run's digest
KINDS: dict[type, Kind] = {str: "text", int: "whole", float: "number"}
SEQUENCE = Column("sequence", "text", "", "the best of the design's sequences")
DEMONSTRATION = (
    "Made with the demonstration model 'nano': it is small, sees the target's backbone only, and "
    "its designs are not for the laboratory"
)


@dataclass(frozen=True)
class ReportRequest:
    """What a report is made of: results folders, folders of runs, tables of px-score."""

    paths: Sequence[Path]
    page: Path  # where it will be: paths of files are written as seen from there
    command: str
    tasks: Sequence[Task] = ()  # their structures show what the crop cut away
    in_3d: int = 1000  # the best designs, which get coordinates
    quiet: bool = False


def reports(request: ReportRequest, every: int | None = None) -> Iterator[Report]:
    """The report; where `every` is given again so many seconds later, until all is complete."""
    while True:
        report = gather(request)
        if every is None or report.is_complete:
            yield report
            return
        yield replace(report, reload_seconds=every)
        time.sleep(every)


def gather(request: ReportRequest) -> Report:
    """Everything that the page shows; what cannot be read is left out with a warning.

    Designs of runs that have no scores yet are scored first.
    """
    sources = read_sources(request.paths, request.quiet)
    labels = labels_of(sources)
    reader = Reader()
    best = best_of(sources, request.in_3d)
    sequences = [_sequences(s.run) if s.run else {} for s in sources]
    columns = _columns(sources, any(sequences))
    runs: list[Run] = []
    designs: list[Design] = []
    for number, source in enumerate(sources):
        runs.append(_run(source, labels[number]))
        poses = _poses(reader, source, best[number], request.tasks)
        made = _designs(source, number, columns, poses, sequences[number], request.page)
        designs.extend(made)
    return Report(
        title=title_of(sources),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=request.command,
        columns=columns,
        checks=_checks(columns, sources),
        runs=tuple(runs),
        targets=tuple(reader.targets),
        designs=tuple(designs),
        notes=_notes(designs, request.in_3d),
    )


def _columns(sources: Sequence[Source], with_sequences: bool) -> tuple[Column, ...]:
    known = {c.name: c for c in columns_of(Scores)}
    names = dict.fromkeys(name for source in sources for row in source.rows for name in row)
    held = [name for name in (*known, *names) if name not in HIDDEN]
    made = {name: _column(name, known.get(name), sources) for name in dict.fromkeys(held)}
    if with_sequences:
        made["sequence"] = SEQUENCE
    order = [name for name in FIRST if name in made]
    return tuple(made[name] for name in dict.fromkeys((*order, *made)))


def _column(name: str, known: TableColumn | None, sources: Sequence[Source]) -> Column:
    if known:
        kind = "words" if name == "failed" else KINDS[known.type]
        return Column(name, kind, known.unit, known.meaning)
    types = {type(row.get(name)) for source in sources for row in source.rows} - {type(None)}
    kind = "text" if str in types else "number" if float in types else "whole"
    return Column(name, kind, "", "a column of the table, not one of px-tools")


def _checks(columns: Sequence[Column], sources: Sequence[Source]) -> dict[str, Check]:
    """Those that all sources are judged by, and whose columns there are."""
    of_all = [(limits_of(s.run.path) if s.run else standard_limits()).checks for s in sources]
    held = {column.name for column in columns}
    return {
        name: check
        for name, check in (of_all[0].items() if of_all else ())
        if all(checks.get(name) == check for checks in of_all)
        and "failed" in held
        and held.issuperset((*check.of, *([check.over] if check.over else [])))
    }


def _designs(
    source: Source,
    number: int,
    columns: Sequence[Column],
    poses: Mapping[str, Pose],
    sequences: Mapping[str, tuple[Lettered, ...]],
    page: Path,
) -> Iterator[Design]:
    counts = Counter(Path(str(row["design"])).name for row in source.rows)
    cifs = source.run.cif_samples() if source.run else set()
    files = {source.run.cif(sample).stem: source.run.cif(sample) for sample in cifs if source.run}
    for row in source.rows:
        name = str(row["design"])
        own = sequences.get(name, ())
        cells = {**row, "sequence": own[0].sequence.sequence} if own else row
        file = files.get(name) if source.run else _structure(source, name)
        short = Path(name).name
        yield Design(
            name=short if counts[short] == 1 else name,
            run=number,
            values=tuple(cells.get(column.name) for column in columns),
            file=_seen_from(page, file) if file else None,
            pose=poses.get(name),
            sequences=own,
        )


def _sequences(run: RunDir) -> dict[str, tuple[Lettered, ...]]:
    """The run's sequences by design, the best first; its letters' probabilities if it has a CIF."""
    try:
        identity = RunJson.read(run).record.identity
    except DamagedError:
        return {}
    rows = table(run.path).read(lambda row: row.run == identity).values()
    found: dict[str, list[Lettered]] = {}
    for row in sorted(rows, key=lambda row: row.score):
        made = found.setdefault(row.design, [])
        cif = run.sequences / f"{row.design}_seq_{row.number}.cif"
        known = read_probabilities(cif, row.sequence) if not made and cif.is_file() else ()
        made.append(Lettered(row, known))
    return {design: tuple(made) for design, made in found.items()}


def _structure(source: Source, name: str) -> Path | None:
    """A design's file, named from the table's folder or from here."""
    places = (source.path.parent / name, Path(name))
    try:
        return next((place for place in places if place.is_file()), None)
    except (OSError, ValueError):  # a name that is none
        return None


def _seen_from(page: Path, file: Path) -> str:
    try:
        return os.path.relpath(file.absolute(), page.absolute().parent)
    except ValueError:  # another drive
        return str(file.absolute())


def _poses(
    reader: Reader, source: Source, wanted: set[str], tasks: Sequence[Task]
) -> dict[str, Pose]:
    title = source.run.name if source.run else source.path.stem
    deposited = _deposited(source.run, tasks) if source.run else None
    poses = {}
    for name, text in _texts(source, wanted):
        try:
            poses[name] = reader.pose(name, text, title, deposited)
        except InputError as error:
            warn(f"{error}; it has no structure on the page")
    return poses


def _texts(source: Source, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    if source.run:
        samples = {source.run.cif(sample).stem: sample for sample in samples_of(source.run)}
        numbers = sorted(samples[name] for name in wanted if name in samples)
        for sample, text in texts_of(source.run, numbers):
            yield source.run.cif(sample).stem, text
        return
    for name in (str(row["design"]) for row in source.rows):
        if name in wanted and (file := _structure(source, name)):
            try:
                yield name, structure_text(file)
            except InputError as error:
                warn(f"{error}; it has no structure on the page")


def _deposited(run: RunDir, tasks: Sequence[Task]) -> dict[Key, Site]:
    """The target as deposited: whole where the run's task is given, else what its chunks hold."""
    task = next((task for task in tasks if task.name == run.name), None)
    if task:
        polymers = protein_chains(task.structure, read_structure(task.structure))
        return {
            (chain_name(i), polymers[pick.chain].number(site)): Site(site, label_seq)
            for i, pick in enumerate(task.chains)
            if pick.chain in polymers
            for site, label_seq in _placed(polymers[pick.chain])
        }
    for _, path in run.files("msgpack"):
        try:
            chunk = read_chunk(path)
        except DamagedError:
            continue  # px-score has said so
        atoms = chunk.atoms
        sampled = Atoms(**{name: held[~atoms.binder] for name, held in vars(atoms).items()})
        text = target_cif(chunk.target or sampled.deposited(), chunk.sequences, run.name)
        return {
            (chain, author_number(site)): Site(site, label_seq)
            for chain, polymer in protein_chains(path, parse_structure(path, text)).items()
            for site, label_seq in _placed(polymer)
        }
    return {}


def _placed(polymer: Polymer) -> Iterator[tuple[gemmi.Residue, int]]:
    return zip(polymer.sites, polymer.label_seq, strict=True)


def _run(source: Source, label: str) -> Run:
    if source.run is None:
        facts = (("table", str(source.path)), ("structures", str(len(source.rows))))
        return Run(label=label, facts=facts)
    progress = progress_of(source.run)
    if not isinstance(progress, RunProgress):
        return Run(label=label, facts=(("folder", str(source.path)), ("run.json", progress.error)))
    return Run(
        label=label,
        facts=tuple(_facts(source.run, progress)),
        asked=progress.total,
        done=progress.done,
        notice=DEMONSTRATION if progress.model == "nano" else "",
    )


def _facts(run: RunDir, progress: RunProgress) -> Iterator[tuple[str, str]]:
    try:
        held = RunJson.read(run)
    except DamagedError as error:
        yield "run.json", str(error)
        return
    record = held.record
    yield "task", f"{record.task.name}, binder of {record.task.binder_lengths} residues"
    yield "target", record.task.structure
    for name, chain in record.task.chains.items():
        hotspots = ", ".join(map(str, chain.hotspots)) or "none"
        yield f"chain {name}", f"crop {chain.crop}; hotspots {hotspots}"
    yield "target's digest", record.task.target_digest
    yield "model", f"{record.model.name}, {record.model.dtype}"
    yield "model's digest", record.model.digest
    yield "schedule", ", ".join(f"{k} {v}" for k, v in vars(record.schedule).items())
    yield "seed", str(record.seed)
    yield "designs", f"{progress.done} of {progress.total}, {progress.cifs} CIFs"
    yield "versions", ", ".join(f"{k} {v}" for k, v in held.versions.items()) or "not recorded"
    yield "folder", str(run.path)
    if times := [path.stat().st_mtime for _, path in run.files("msgpack")]:
        yield "chunks written", f"{_time(min(times))} to {_time(max(times))}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _notes(designs: Sequence[Design], in_3d: int) -> tuple[str, ...]:
    without = sum(design.pose is None for design in designs)
    if len(designs) > in_3d:
        return (f"The best {in_3d:,} of {len(designs):,} designs have structures on this page.",)
    if without:
        return (f"{without:,} of {len(designs):,} designs have no structure on this page.",)
    return ()
