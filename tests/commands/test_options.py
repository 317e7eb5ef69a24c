"""What people type: options, their spelling, wrong ones, the published command line, recipes."""

import errno
import gzip
import importlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import DATA
from help_texts import help_texts
from processes import command, environment, run, small_run

from pxtools.commands import cli, pxdesign, recipe
from pxtools.errors import InputError

ROOT = DATA.parent.parent
OLD_RUNS = DATA / "old_runs/scored"
TOOLS = sorted(set(help_texts()) - {"pxdesign"})
EXPLAINED = "px-sample --help explains the options)"


def parser_of(tool: str) -> cli.Parser:
    name = tool.removeprefix("px-").replace("-", "_")
    module = importlib.import_module(f"pxtools.commands.{name}")
    return cli.Parser(tool, getattr(module, tool.replace("-", "_")))


def refusal(tool: str, *words: str) -> str:
    with pytest.raises(InputError) as refused:
        parser_of(tool).parse_args(words)
    assert "\n" not in str(refused.value) and "None" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("tool", help_texts())
def test_the_documented_help_is_the_programs_own(tool: str) -> None:
    documented = (ROOT / f"docs/commands/{tool}.txt").read_text()
    assert documented == help_texts()[tool], "just help-texts writes them again"


def test_help_and_version_of_a_process() -> None:
    assert run("px-status", "--help").stdout == help_texts()["px-status"]
    from pxtools import __version__

    for tool in ("px-status", "pxdesign"):
        assert run(tool, "--version").stdout == f"{tool} {__version__}\n"


@pytest.mark.parametrize("words", [(t, "--help") for t in help_texts()] + [("px-status", OLD_RUNS)])
def test_looking_starts_at_once(words: tuple[object, ...]) -> None:
    python, *module = command(*map(str, words))
    started = subprocess.run(
        [python, "-X", "importtime", *module], capture_output=True, text=True, env=environment()
    )
    assert started.returncode == 0 and started.stdout
    loaded = {line.rpartition("|")[2].strip() for line in started.stderr.splitlines()}
    assert "pxtools.commands" in loaded
    assert loaded.isdisjoint({"numpy", "gemmi", "mlx", "yaml", "msgpack", "tqdm", "subprocess"})


@pytest.mark.parametrize("tool", TOOLS)
def test_help_says_no_untruth(tool: str) -> None:
    text = help_texts()[tool]
    assert "default: -" not in text and "default: )" not in text
    assert "None" not in text and "False" not in text


@pytest.mark.parametrize(
    ("tool", "letters"),
    [("px-sample", "himnopqw"), ("px-status", "hw"), ("px-convert-checkpoint", "ho")],
)
def test_no_letter_is_an_option_that_nobody_chose(tool: str, letters: str) -> None:
    assert "".join(sorted(re.findall(r"^  -(\w)\b", help_texts()[tool], re.M))) == letters


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--n_sample", "5"], "unknown option --n_sample: did you mean --N_sample?"),
        (["--N-sampel", "5"], "unknown option --N-sampel: did you mean --N_sample?"),
        (["--N_sampel=5"], "unknown option --N_sampel: did you mean --N_sample?"),
        (["-N_sample", "5"], "unknown option -N_sample: did you mean --N_sample?"),
        (["--colour"], "unknown option --colour: px-sample --help lists them"),
        (["-x"], "unknown option -x: px-sample --help lists them"),
        (["-N-sample=5"], "unknown option -N-sample=5: did you mean --N_sample?"),
        (["-preset=quick"], "unknown option -preset=quick: did you mean --preset?"),
        (["-i", "-x.yaml"], "unknown option -x.yaml: did you mean ./-x.yaml?"),
        (["--N_sample", "many"], "--N_sample: expected a whole number, found many"),
        (["--N-sample", "1.5"], "--N_sample: expected a whole number, found 1.5"),
        (["--gamma0", "x"], "--gamma0: expected a number, found x"),
        (["--device", "tpu"], "--device: expected one of cpu, gpu, found tpu"),
        (["-o", ""], "--dump_dir: expected a value (folder the results go to), found nothing"),
        (["-o"], "--dump_dir: expected a value after it, found nothing"),
        (["design.yaml"], "unexpected: design.yaml (a task file comes after -i; " + EXPLAINED),
        (["--quiet=yes"], "--quiet: takes no value, found 'yes'"),
    ],
)
def test_wrong_options_are_told_as_typed_with_the_nearest_right_one(
    words: list[str], answer: str
) -> None:
    assert refusal("px-sample", *words).removesuffix(f" ({EXPLAINED}") == answer


def test_what_one_process_makes_is_not_px_submits_to_say() -> None:
    """Its help lists neither option, and nothing hints at them."""
    assert (
        refusal("px-submit", "--smples", "3") == "unknown option --smples: did you mean --N_sample?"
    )
    assert refusal("px-submit", "--samples=") == "--samples: expected a value, found nothing"
    for option in ("--shard=0/2", "--samples=0-3"):
        refused = run("px-submit", "--example", "--dry", option)
        assert refused.returncode == 2
        assert "it is for one px-sample; --shards shares out all samples" in refused.stderr


def test_help_of_a_pipeline_runs_nothing(tmp_path: Path) -> None:
    results = shutil.copytree(OLD_RUNS, tmp_path / "results")
    before = sorted(results.rglob("*"))
    for tool, *words in (("recipe", "pipeline", f"dump_dir={results}"), ("pxdesign", "pipeline")):
        done = run(tool, *words, "--help")
        assert (done.returncode, done.stdout) == (0, help_texts()["px-sample"])
        assert "px-sequence" not in done.stderr
    assert sorted(results.rglob("*")) == before


def test_what_is_missing_is_named() -> None:
    assert refusal("px-status", "").startswith("folders: expected a value (results folders,")
    assert refusal("px-status").startswith("missing: folders")


def test_an_empty_value_is_taken_where_it_means_something() -> None:
    assert parser_of("px-sequence").parse_args(["--omit", ""]).omit == ""


def test_hyphens_and_underscores_are_the_same_option() -> None:
    for word in ("--N_sample", "--N-sample"):
        for given in ([word, "7"], [f"{word}=7"]):
            assert parser_of("px-sample").parse_args(given).N_sample == 7


# --- the published command line ---


PUBLISHED_LINE = (
    "--preset extended -i ./examples/PDL1_quick_start.yaml -o ./examples/test_run --N_sample 10 "
    "--dtype bf16 --use_fast_ln True --use_deepspeed_evo_attention True"
)


def test_a_negative_value_goes_with_its_option() -> None:
    assert pxdesign.translated(
        ["--return_topk", "-1", "-q", "--use_msa", "", "--use_msa", "-n", "2"]
    ) == [*("-q", "-n", "2")]


def test_the_published_readmes_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = PUBLISHED_LINE.split()
    assert pxdesign.translated(words) == words[:-4]
    assert capsys.readouterr().err == (
        "⚠ Ignored, as they mean nothing here: --use_fast_ln True, "
        "--use_deepspeed_evo_attention True\n"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--n_sample 5 --N-STEP=3", "--N_sample 5 --N_step=3"),
        ("--input a.yaml --output_dir out", "--input_json_path a.yaml --dump_dir out"),
        ("--yaml a.yaml", "--input_json_path a.yaml"),
        ("--N_max_runs 3 -n 5", "-n 5"),
        ("--early_stop --N_sample 5", "--N_sample 5"),
        ("--eval.binder.x=1 --eval.y 2 -q", "-q"),
        ("--eta_type const --ETA_MIN 2.5", "--eta_type const --eta_min 2.5"),
        ("--no-such 5", "--no-such 5"),
    ],
)
def test_published_options_in_whatever_case(typed: str, meant: str) -> None:
    assert pxdesign.translated(typed.split()) == meant.split()


def test_the_front_knows_all_options_of_px_sample() -> None:
    actions = parser_of("px-sample")._actions
    names = {flag[2:] for action in actions for flag in action.option_strings if flag[:2] == "--"}
    assert names <= set(pxdesign.OPTIONS)
    flags = {a.dest for a in actions if a.nargs == 0 and a.option_strings}
    assert flags <= set(pxdesign.FLAGS)


def test_an_unknown_command_is_told_the_nearest_one() -> None:
    done = run("pxdesign", "pipline", "-i", "design.yaml")
    assert done.returncode == 2
    assert done.stderr == "pxdesign: unknown command pipline: did you mean pipeline?\n"


def test_prepare_msa_says_why_it_is_not_needed() -> None:
    done = run("pxdesign", "prepare-msa", "--yaml", "design.yaml")
    assert done.returncode == 0 and "uses no alignments" in done.stderr


# the fields of the published example; in place of 5O45 stands another structure
QUICK_START = """\
target:
  file: "./examples/5o45.cif"
  chains:
    A:
      crop: ["1-116"]
      hotspots: [40, 99, 107]
      msa: "./examples/msa/PDL1/0"
binder_length: 80
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A task like the published project's example, where its README's commands are typed."""
    examples = tmp_path / "examples"
    examples.mkdir()
    structure = (DATA / "structures/1BD2.cif.gz").read_bytes()
    (examples / "5o45.cif").write_bytes(gzip.decompress(structure))
    (examples / "PDL1_quick_start.yaml").write_text(QUICK_START)
    return tmp_path


@pytest.mark.slow
def test_the_published_readmes_example_runs_as_it_stands(published: Path) -> None:
    words = PUBLISHED_LINE.split()
    process = subprocess.Popen(
        command("pxdesign", "pipeline", *words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=published,
    )
    said = []
    assert process.stderr
    for line in process.stderr:
        said.append(line.rstrip("\n"))
        if "Diffusion step [1/" in line:
            process.terminate()
    assert process.wait() == 143, said
    assert said[:2] == [
        "⚠ Ignored, as they mean nothing here: --use_fast_ln True, "
        "--use_deepspeed_evo_attention True",
        "⚠ ./examples/PDL1_quick_start.yaml: msa is ignored: the generator does not use it",
    ]
    assert "Starting chunked diffusion: 10 samples in chunks of 100" in said
    assert "  Diffusion step [1/400] for samples [1-10/10]" in said
    (record,) = published.glob("examples/test_run/global_run_0/PDL1_quick_start/*/run.json")
    task = json.loads(record.read_text())["task"]
    assert task["chains"] == {"A": {"crop": "1-116", "hotspots": "40,99,107"}}


@pytest.mark.parametrize("words", ["check-input --yaml", "parse-target -o debug --yaml"])
def test_the_published_readmes_checks_run_as_they_stand(published: Path, words: str) -> None:
    line = [*words.split(), "./examples/PDL1_quick_start.yaml"]
    done = run("pxdesign", *line, cwd=published)
    assert done.returncode == 0, done.stderr
    assert "ALA 40, TYR 99, TRP 107" in done.stdout
    names = ["PDL1_quick_start_parsed_target.cif", "PDL1_quick_start_parsed_target.pml"]
    written = sorted(path.name for path in published.glob("debug/*"))
    assert written == (names if "debug" in words else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipeline --preset custom", "pipeline --preset preview", "infer"])
def test_the_published_command_line_runs_to_its_end(published: Path, name: str) -> None:
    line = (
        f"{name} -i ./examples/PDL1_quick_start.yaml -o ./test_run --n_sample 2 --N_step 3 "
        "--dtype bf16 --eta_type const --eta_min 2.5 --eta_max 2.5 --N_max_runs 1 "
        "--use_fast_ln True --use_deepspeed_evo_attention False"
    )
    done = run("pxdesign", *line.split(), cwd=published)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Ignored, as they mean nothing here:") == 1
    assert "schedule const_2.5" in done.stderr
    assert len(list(published.glob("test_run/**/*.cif"))) == 2


# --- recipes ---


def asked(name: str, *words: str, variables: str = "") -> recipe.Asked:
    return recipe.read(name, list(words), variables.splitlines())


def test_words_come_before_variables_and_the_last_word_counts() -> None:
    read = asked(
        *("pipeline", "seeds=1", "seeds=2", "UNTIL=5", "until=6", "n_max=7"),
        variables="seeds=3\nN_sample=4\ndump_dir=r s\nmodel=",
    )
    assert read.options == ["--seeds=1", "--seeds=2", "--N_sample=4"]  # a tool takes the last one
    assert (read.until, read.N_max) == ("6", "7")
    assert read.dump_dir == "r s" and read.input_json_path is None


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("n_sample=5 N-STEP=3", ["--N_sample=5"]),
        ("--N_sample 5 preset=quick", ["--N_sample=5", "--preset=quick"]),
        ("--quiet --N_sample=5", ["--quiet", "--N_sample=5"]),
        ("-n 5 -q -w 2", ["-n", "5", "-q", "-w", "2"]),
    ],
)
def test_words_of_a_recipe(typed: str, options: list[str]) -> None:
    if "N-STEP" in typed:
        with pytest.raises(recipe.WrongWord, match="N-STEP=3"):
            asked("pipeline", *typed.split())
        typed = typed.split()[0]
    assert asked("pipeline", *typed.split()).options == options


def test_paths_by_all_their_names() -> None:
    for word in ("-i x", "--input_json_path x", "input_json_path=x", "i=x", "--input=x"):
        assert asked("pipeline", *word.split()).input_json_path == "x"
    for word in ("-o x", "--dump_dir x", "dump_dir=x", "o=x", "--output_dir=x"):
        assert asked("pipeline", *word.split()).dump_dir == "x"
    assert asked("status", "-w", "x").dump_dir == "x"


@pytest.mark.parametrize("sequences", ["x", "-1", "", "1.5", "10001"])
def test_a_pipeline_refuses_its_numbers_before_it_samples(sequences: str) -> None:
    with pytest.raises(recipe.WrongWord, match="expected a number such as sequences=8"):
        asked("pipeline", f"sequences={sequences}")


@pytest.mark.parametrize(
    ("name", "words"), [("pipeline", ["extended"]), ("status", ["a", "b"]), ("sample", ["--seeds"])]
)
def test_other_words_are_refused(name: str, words: list[str]) -> None:
    with pytest.raises(recipe.WrongWord, match=words[-1]):
        asked(name, *words)


def test_a_recipe_loads_nothing_that_takes_long() -> None:
    """Before it hands over to its tools: Python's own start is most of its time."""
    done = subprocess.run(
        [ROOT / "tools/recipe", "pipeline", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(PYTHONPROFILEIMPORTTIME="1"),
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
    assert "pxtools" in loaded and len(loaded) < 100
    slow = {"numpy", "mlx", "gemmi", "msgpack", "yaml", "argh", "json", "subprocess", "asyncio"}
    assert not loaded & slow


def just(*words: object, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    line = [str(ROOT / "bin/just"), *map(str, words)]
    return subprocess.run(
        line, input=stdin, capture_output=True, text=True, env=environment(), cwd=cwd
    )


def test_nothing_is_said_from_just_behind_a_wrong_option(tmp_path: Path) -> None:
    done = just("sample", "N_sampel=5", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "px-sample: unknown option --N_sampel: did you mean --N_sample?"
    )


def test_a_repeated_seed_is_said(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=1, steps=2)
    done = run("px-sample", *words, "--seeds", "7,8,7")
    assert "--seeds: 7 is repeated: the same seed gives the same designs" in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_a_value_that_looks_like_an_option_is_told_how_to_give_it() -> None:
    assert refusal("px-pick", "--by", "-rg").endswith("did you mean --by=-rg?")
    parser = parser_of("px-pick")
    assert parser.parse_args(["--by=-rg"]).by == "-rg"
    assert parser.parse_args(["--", "--a-b"]).folders == ["--a-b"]


@pytest.mark.parametrize("option", ["input", "input_json", "--input-json"])
def test_an_abbreviated_path_is_no_example(option: str, tmp_path: Path) -> None:
    done = just("target", f"{option}=missing.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "missing.yaml" in done.stderr
    assert "using the example" not in done.stderr


@pytest.mark.parametrize("words", [["--list"], []])
def test_recipes_are_listed_in_groups(words: list[str], tmp_path: Path) -> None:
    done = just(*words, cwd=tmp_path)
    listed = done.stdout
    assert done.returncode == 0, done.stderr
    for group, inside in (("design", "pipeline"), ("look", "status"), ("develop", "check")):
        assert re.search(rf"\[{group}\]\n(    \w.*\n)*    {inside}\b", listed), listed


def test_clean_names_the_folder_and_asks(tmp_path: Path) -> None:
    run_folder = tmp_path / "out/global_run_0/bpti/seed_1/predictions"
    run_folder.mkdir(parents=True)
    (run_folder / "bpti_sample_0.cif").write_text("x")
    refused = just("clean", "out", cwd=tmp_path, stdin="n\n")
    assert refused.returncode == 1 and run_folder.exists()
    assert f"Remove {tmp_path}/out/global_run_0" in refused.stderr
    assert "1 runs, 1 designs" in refused.stderr
    assert just("clean", "dump_dir=out", cwd=tmp_path, stdin="y\n").returncode == 0
    assert not run_folder.exists() and (tmp_path / "out").exists()
    assert "nothing to remove" in just("clean", "out", cwd=tmp_path).stderr


def test_a_task_reaches_px_score_and_is_refused_where_it_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    scored = just("score", "-i", "none.yaml", cwd=tmp_path)
    assert scored.returncode == 2 and "none.yaml: cannot read the task file" in scored.stderr
    for name in ("status", "sequence", "clean"):
        refused = just(name, "input_json_path=none.yaml", cwd=tmp_path)
        said = f"just {name}: expected settings of this recipe, found input_json_path\n"
        assert (refused.returncode, refused.stderr) == (2, said)


def test_a_pipeline_takes_no_task_from_stdin(tmp_path: Path) -> None:
    refused = just("pipeline", "-i", "-", cwd=tmp_path, stdin="binder_length: 9")
    said = "just pipeline: expected a task file, which all its tools read, found -\n"
    assert (refused.returncode, refused.stderr) == (2, said)


@pytest.mark.slow
def test_paths_that_begin_with_a_hyphen(tmp_path: Path) -> None:
    given, _ = small_run(tmp_path, n=1, steps=2)
    shutil.copy(tmp_path / "bpti.json", tmp_path / "-task.json")
    words = ["input_json_path=-task.json", "dump_dir=-out", f"model={given[5]}", "N_sample=1"]
    done = just("pipeline", *words, "N_step=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert just("status", "dump_dir=-out", cwd=tmp_path).returncode == 0
    assert just("clean", "dump_dir=-out", "-y", cwd=tmp_path).returncode == 0


# --- what the terminal's encoding lacks ---

ENCODINGS = [
    {"PYTHONIOENCODING": "utf-8:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.slow
@pytest.mark.parametrize("variables", ENCODINGS)
def test_paths_of_any_bytes_go_through_the_pipe(tmp_path: Path, variables: dict[str, str]) -> None:
    given, _ = small_run(tmp_path, n=1, steps=2)
    given[3] = tmp_path / os.fsdecode(b"out\xfc")
    out = given[3]
    tools: dict[str, list[object]] = {
        "px-sample": given,
        "px-write-cif": ["--print"],
        "px-sequence": ["--quiet", "--cif"],
        "px-status": [out],
        "px-score": [out],
        "px-pick": [out, "-n", 1],
        "px-report": [out],
    }
    shown = b""
    for tool, words in tools.items():
        line, told = command(tool, *words), environment(**variables)
        done = subprocess.run(line, input=shown, capture_output=True, env=told)
        assert done.returncode == 0, done.stderr.decode()
        shown = done.stdout
        assert b"/out\xfc/" in shown or tool in ("px-status", "px-score"), shown


def test_a_name_too_long_for_the_table_in_latin_1(tmp_path: Path) -> None:
    given, folder = small_run(tmp_path, n=1, steps=2)
    run("px-sample", *given)
    folder.parent.rename(folder.parent.with_name("n" * 60))
    done = subprocess.run(
        command("px-status", given[3]),
        capture_output=True,
        env=environment(PYTHONIOENCODING="latin-1"),
    )
    assert b"nnn?nnn" in done.stdout and b"Traceback" not in done.stderr


# --- bin/ ---


def test_a_link_to_a_tool_runs_it_from_its_checkout(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin/px-status"
    link.symlink_to(os.path.relpath(ROOT / "bin/px-status", link.parent))
    (tmp_path / "other").symlink_to(ROOT / "bin")
    for tool in (link, tmp_path / "other/px-status"):
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, cwd=tmp_path)
        assert done.stdout.startswith("px-status ")
    assert not (tmp_path / ".venv").exists()


@pytest.mark.slow
def test_an_offline_set_up_ends_in_one_sentence(tmp_path: Path) -> None:
    """With the real pip, but this environment's: to unpack another takes seconds."""
    python, packages = tmp_path / "python", sysconfig.get_path("purelib")
    python.write_text(
        f'#!/bin/sh\n[ "$2" = venv ] || exec "{sys.executable}" "$@"\n'
        f'"{sys.executable}" -m venv --without-pip "$3" &&\n'
        f'echo "{packages}" >"$(echo "$3"/lib/python*/site-packages)/pip.pth"\n'
    )
    python.chmod(0o755)
    offline = environment(
        PYTHON=str(python),
        PXTOOLS_VENV=str(tmp_path / "venv"),
        PIP_INDEX_URL="http://127.0.0.1:9/",
        PIP_RETRIES="0",
    )
    offline["PIP_CONFIG_FILE"] = os.devnull
    offline["PIP_NO_INDEX"] = "1"
    offline.pop("PIP_FIND_LINKS", None)
    done = subprocess.run(
        [ROOT / "bin/px-status", "x"], capture_output=True, text=True, env=offline
    )
    assert done.returncode == 2
    begun, refused = done.stderr.splitlines()
    assert begun.startswith("Setting up") and "is there a network?" in refused


# --- what a machine refuses ---


def closed(*descriptors: int, line: list[str]) -> subprocess.CompletedProcess[str]:
    redirections = " ".join(f"{n}>&-" for n in descriptors)
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", *line],
        capture_output=True,
        text=True,
        env=environment(),
    )


@pytest.mark.slow
def test_closed_streams(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1, steps=2)
    no_stderr = closed(0, 2, line=command("px-sample", *words))
    assert no_stderr.returncode == 0
    assert no_stderr.stdout == f"{folder}/chunks/samples_0-0.msgpack\n"
    no_stdin = closed(0, line=command("px-write-cif"))
    assert no_stdin.returncode == 0 and "Traceback" not in no_stdin.stderr
    no_stdout = closed(1, line=command("px-sample", *words, "--N_sample", 3))
    assert no_stdout.returncode == 0 and "Completed chunk 2/2" in no_stdout.stderr


@pytest.mark.slow
def test_files_for_another_tool_are_told_what_makes_the_right_ones(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=1, steps=2)
    chunk = run("px-sample", *words).stdout
    for tool, given, part in (
        ("px-sequence", [], "found a chunk (px-write-cif --print makes structures of it)"),
        ("px-write-cif", [tmp_path / "out"], "found a folder (-i TASK -o"),
        ("px-report", [tmp_path / "out", "-o", tmp_path], "report.html, found a folder"),
    ):
        done = run(tool, *given, stdin=chunk)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert part in done.stderr


def test_just_with_a_closed_stdin(tmp_path: Path) -> None:
    done = closed(0, line=[str(ROOT / "bin/just"), "status", "dump_dir=none"])
    assert done.returncode == 2 and done.stderr.startswith("px-status: none: folder")


@pytest.mark.parametrize(
    "file", ["out", "out/global_run_0/bpti", "out/global_run_0/bpti/seed_7/chunks"]
)
def test_a_file_in_place_of_a_folder(tmp_path: Path, file: str) -> None:
    words, _ = small_run(tmp_path, n=1, steps=2)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("x")
    done = run("px-sample", *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"px-sample: {tmp_path / file}: expected a folder, found a file"
    )


@pytest.mark.parametrize(
    ("number", "where"),
    [(errno.ENOSPC, "standard output"), (errno.ESTALE, "a file or standard output")],
)
def test_a_failure_without_a_name_is_not_blamed_on_stdout_alone(number: int, where: str) -> None:
    program = f"""
from argh import arg
from pxtools.commands import cli

@arg("--word")
def px_any(*, word=""):
    raise OSError({number}, "why")

cli.run(px_any)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"px-any: {where}: why\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("tool", ["px-status", "px-sample"])
def test_a_full_disk_behind_stdout(tmp_path: Path, tool: str) -> None:
    words, _ = small_run(tmp_path, n=1, steps=2)
    if tool == "px-status":
        run("px-sample", *words)
        words = [tmp_path / "out"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(tool, *words), stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{tool}: standard output: No space left on device"
    assert "Traceback" not in done.stderr


def unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may read and write everything")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("px-status", ["{}"]),
        ("px-score", ["{}"]),
        ("px-target", ["-i", "{}/design.yaml"]),
        ("px-sample", ["-i", "{}/design.yaml"]),
        ("px-sample", ["--example", "-o", "{}/out"]),
        ("px-write-cif", ["{}/a.msgpack"]),
        ("px-sequence", ["{}/a.cif"]),
        ("px-report", ["{}"]),
    ],
)
def test_a_folder_nobody_may_enter(tmp_path: Path, tool: str, words: list[str]) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    line = command(tool, *(word.format(locked) for word in words))
    done = subprocess.run(
        [*unprivileged(), *line], capture_output=True, text=True, env=environment(), cwd=tmp_path
    )
    locked.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert "Permission denied" in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr


def limited(megabytes: int, tool: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A tool with so much address space, told by the shell to have BLAS start threads."""
    limit = megabytes * 2**20
    return subprocess.run(
        command(tool, *words),
        capture_output=True,
        text=True,
        env=environment(OPENBLAS_NUM_THREADS="8"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )


only_linux = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="only Linux has such limits"
)


@pytest.mark.slow
@only_linux
@pytest.mark.parametrize("megabytes", [150, *range(200, 420, 20), 450, 600, 900, 1200])
def test_too_little_memory_is_told_in_one_line(tmp_path: Path, megabytes: int) -> None:
    words, _ = small_run(tmp_path, n=8, chunk=8, steps=2)
    done = limited(megabytes, "px-sample", *words, "--workers", 2)
    assert done.returncode in (0, 2), done.stderr
    assert "do not agree" not in done.stderr and "Traceback" not in done.stderr
    assert "OpenBLAS" not in done.stderr
    if done.returncode:
        last = done.stderr.splitlines()[-1]
        assert re.search(
            r"gives no more memory or threads|memory limit of \d+ MB .* raise it", last
        )


@pytest.mark.slow
@only_linux
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("megabytes", [80, 110, 140, 190])
def test_no_tool_loads_what_would_abort(tmp_path: Path, tool: str, megabytes: int) -> None:
    missing = tmp_path / "x"
    options = ["-i"] if tool in ("px-sample", "px-target", "px-submit") else []
    done = limited(megabytes, tool, *options, missing)
    assert done.returncode == 2, done.stderr
    told = f"{missing}: f" if tool == "px-status" else f"the memory limit of {megabytes} MB "
    assert done.stderr.startswith(f"{tool}: {told}") and done.stderr.count("\n") == 1


@only_linux
@pytest.mark.parametrize("tool", ["px-pick", "px-report", "px-score", "px-target", "px-write-cif"])
def test_what_a_tool_is_not_refused_suffices(tmp_path: Path, tool: str) -> None:
    results = shutil.copytree(OLD_RUNS, tmp_path / "results")
    task, chunks = ROOT / "examples/pmhc.yaml", sorted(results.rglob("*.msgpack"))
    words = {"px-target": ("-i", task), "px-write-cif": chunks}.get(tool, [results])
    done = limited(205, tool, *words)
    assert done.returncode == 0, done.stderr


@only_linux
def test_a_memory_limit_is_told_with_what_is_needed(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1, steps=2)
    done = limited(600, "px-sample", *words, "--workers", 100)
    assert done.returncode == 2 and not folder.exists()
    assert re.fullmatch(
        r"px-sample: the memory limit of 600 MB \(ulimit -v\) leaves \d+ MB; 100 workers need "
        r"4800 MB: raise it, or make --workers smaller\n",
        done.stderr,
    )
