"""px-sequence: amino acids for the binders of designs, by ProteinMPNN."""

import sys
from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import say, warn
from pxtools.exit_codes import HELD_BY_OTHERS

PREDICTORS = ("boltz", "protenix", "af3", "colabfold", "chai")


@arg("paths", nargs="*", help="structure files, results folders; none or -: from stdin")
@arg("-n", "--num-seqs", type=int, help="sequences per design")
@arg("-T", "--temperature", type=float, help="0.1 to 0.3 for sequences that differ")
@arg("--shard", help="K/N: only every Nth design from number K on, counted from 0")
@arg("--samples", help="A-B: only these designs of each run, counted from 0")
@arg("--weights", help="vanilla, soluble or a .safetensors file of px-convert-checkpoint")
@arg("--omit", help='letters not to use, such as CM; "" for none')
@arg("--bias", help='added to the logits of letters, such as "A:-0.5,K:0.3"')
@arg("--fix", help='binder residues that keep the letters of the file, such as "C0:1-5,8"')
@arg("--binder", help="the chain to design; default: the last one")
@arg("--seed", type=int, help="random seed")
@arg("-o", "--out", help="folder for structures that are not part of a run")
@arg("--cif", help="also write the designs with these amino acids; print the files' paths")
@arg(
    "--for",
    dest="predictor",
    choices=PREDICTORS,
    help="write this predictor's input files; print their paths",
)
@arg("--device", choices=["cpu", "gpu"], help="default: the GPU where MLX has one")
@arg("-w", "--workers", type=int, help="designs at once on the CPU; default: its cores")
@arg("-q", "--quiet", help="no progress lines; warnings are still shown")
def px_sequence(
    *paths: str,
    shard: str | None = None,
    samples: str | None = None,
    num_seqs: int = 1,
    temperature: float = 0.0001,
    weights: str = "vanilla",
    omit: str = "C",
    bias: str = "",
    fix: str = "",
    binder: str | None = None,
    seed: int = 12345,
    out: str = "sequences",
    cif: bool = False,
    predictor: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> None:
    """Choose amino acids for designed binders (ProteinMPNN); the target keeps its own.

    Rows go to sequences.csv in the run's folder, sequences.fasta beside it; the sequences go to
    stdout as FASTA. Stop it at any time; run the same command to continue.
    """
    from pxtools.runs.shards import parse_part
    from pxtools.sequences.folder import as_fasta
    from pxtools.sequences.options import Options, read_bias, read_fix, read_omit
    from pxtools.sequences.runs import Finished, SequenceRequest, sequence

    otherwise = "give structure files or results folders, or pipe their paths in"
    request = SequenceRequest(
        paths=cli.paths(paths, otherwise),
        num_seqs=num_seqs,
        options=Options(
            temperature=temperature,
            seed=seed,
            omit=read_omit(omit),
            bias=read_bias(bias),
            fix=read_fix(fix),
            binder=binder,
        ),
        weights=weights,
        folder=Path(out),
        cif=cif,
        predictor=predictor,
        device=device,
        workers=workers,
        quiet=quiet,
        part=parse_part(shard, samples),
    )

    def show(done: Finished) -> None:
        if cif:
            print("".join(f"{path}\n" for path in done.cifs), end="", flush=True)
        elif predictor is None:
            print("".join(map(as_fasta, done.rows)), end="", flush=True)

    sequenced = sequence(request, show)
    for handover in sequenced.handovers:
        print("".join(f"{path}\n" for path in handover.files), end="", flush=True)
        say(f"✓ {handover.n_complexes} complexes for {predictor}; now run:")
        say(f"  {handover.command}")
        if handover.note:
            warn(handover.note)
    if sequenced.held_by_others:
        sys.exit(HELD_BY_OTHERS)


def main() -> None:
    cli.run(px_sequence, "pxtools.sequences.runs")


if __name__ == "__main__":
    main()
