# px-tools: protein-binder backbones with PXDesign-d.
# Settings may stand before a recipe (just preset=extended pipeline) or after it (just pipeline preset=extended).

set positional-arguments := true

# settings of the recipes (recipe.py says of which)
preset := ""
input_json_path := ""
dump_dir := ""
seeds := ""
N_sample := ""
N_step := ""
sample_diffusion_chunk_size := ""
model := ""
device := ""
sequences := ""
until := ""
N_max := ""

root := justfile_directory()
recipe := root / "tools/recipe"
python := env("PXTOOLS_VENV", root / ".venv") / "bin/python"
# its workers share what one of them has compiled
pytest := "PYTHONDONTWRITEBYTECODE= " + quote(python) + " -m pytest -n auto --dist worksteal"
export PATH := root / "bin:" + env("PATH")
export PX_VARIABLES := "preset=" + preset + "\ninput_json_path=" + input_json_path + "\ndump_dir=" + dump_dir + "\nseeds=" + seeds + "\nN_sample=" + N_sample + "\nN_step=" + N_step + "\nsample_diffusion_chunk_size=" + sample_diffusion_chunk_size + "\nmodel=" + model + "\ndevice=" + device + "\nsequences=" + sequences + "\nuntil=" + until + "\nN_max=" + N_max

# show the recipes
[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# generate designs, write their CIFs, choose their amino acids (sequences=0: none): just pipeline [preset=extended] [input_json_path=design.json] [dump_dir=results/] [seeds=1,2] [until=100 [N_max=5000]] ...
[group("design")]
[no-cd]
[no-exit-message]
pipeline *settings:
    @exec "{{ recipe }}" pipeline "$@"

# only generate the raw chunk files; prints their paths
[group("design")]
[no-cd]
[no-exit-message]
sample *settings:
    @exec "{{ recipe }}" sample "$@"

# only write the CIFs of the chunks that are there
[group("design")]
[no-cd]
[no-exit-message]
write-cif *settings:
    @exec "{{ recipe }}" write-cif "$@"

# the same on a Slurm cluster (docs/clusters.md): just submit [preset=extended] [shards=16] [partition=gpu] [gres=gpu:1] [time=4:00:00] [dry=1] ...
[group("design")]
[no-cd]
[no-exit-message]
submit *settings:
    @exec "{{ recipe }}" submit "$@"

# choose amino acids for the designs: just sequence [dump_dir] [num_seqs=8] [temperature=0.1] [for=boltz] ...
[group("design")]
[no-cd]
[no-exit-message]
sequence *settings:
    @exec "{{ recipe }}" sequence "$@"

# remove the results of a dump_dir after asking: just clean [dump_dir]
[group("design")]
[no-cd]
[no-exit-message]
clean *folder:
    @exec "{{ recipe }}" clean "$@"

# look at the task before a run: chains, crop, hotspots, what may be wrong with them
[group("look")]
[no-cd]
[no-exit-message]
target *settings:
    @exec "{{ recipe }}" target "$@"

# how far the runs are: just status [dump_dir]
[group("look")]
[no-cd]
[no-exit-message]
status *settings:
    @exec "{{ recipe }}" status "$@"

# score the designs and list the best: just score [dump_dir] [top=20]
[group("look")]
[no-cd]
[no-exit-message]
score *settings:
    @exec "{{ recipe }}" score "$@"

# write a page with table, plots and structures of the designs: just report [dump_dir] [output=page.html]
[group("look")]
[no-cd]
[no-exit-message]
report *settings:
    @exec "{{ recipe }}" report "$@"

# set the environment up (done by every recipe when needed)
[group("develop")]
setup:
    @"{{ root }}/bin/just" --version

# set up what the tests need too
[private]
for-developers:
    @PXTOOLS_EXTRAS="dev,${PXTOOLS_EXTRAS:-}" "{{ root }}/bin/just" --version > /dev/null

# run all tests (further arguments go to pytest)
[group("develop")]
test *words: for-developers
    {{ pytest }} "$@"

# check style and types, and run the fast tests
[group("develop")]
check: lint
    {{ pytest }} -m "not slow"

# check style and types
[group("develop")]
lint: for-developers
    "{{ python }}" -m ruff check .
    "{{ python }}" -m ruff format --check .
    "{{ python }}" -m mypy
    "{{ parent_directory(python) }}/lint-imports" --no-logo --no-cache

# reformat the sources
[group("develop")]
format: for-developers
    "{{ python }}" -m ruff check --fix .
    "{{ python }}" -m ruff format .

# write docs/commands/*.txt, the --help of each tool
[group("develop")]
help-texts: setup
    "{{ python }}" tools/help_texts.py

# break runs on purpose, and print what became of them: just faults [20 [killed disk_full ...]]
[group("develop")]
faults *words: for-developers
    "{{ python }}" tests/faults.py "$@"

# feed N mutated files of each kind to everything that reads one
[group("develop")]
fuzz times="2000": for-developers
    "{{ python }}" tests/fuzz.py "{{ times }}"

# time the denoiser step against its matrix products, and the tools: just bench [step|sequences|tools|peers --published DIR] [--device gpu]
[group("develop")]
bench *words: setup
    "{{ python }}" tools/bench.py "$@"
