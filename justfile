# px-tools: protein-binder backbones with PXDesign-d.
# Settings may stand before a recipe (just preset=extended pipeline) or after it (just pipeline preset=extended).

set positional-arguments := true

# settings of pipeline, sample, write-cif and status
preset := ""
input_json_path := ""
dump_dir := ""
seeds := ""
N_sample := ""
N_step := ""
sample_diffusion_chunk_size := ""
model := ""
device := ""

root := justfile_directory()
export PATH := root / "bin:" + env("PATH")
export PX_VARIABLES := "preset=" + preset + "\ninput_json_path=" + input_json_path + "\ndump_dir=" + dump_dir + "\nseeds=" + seeds + "\nN_sample=" + N_sample + "\nN_step=" + N_step + "\nsample_diffusion_chunk_size=" + sample_diffusion_chunk_size + "\nmodel=" + model + "\ndevice=" + device
export PX_EXAMPLE := root / "examples/bpti.yaml"

# show the recipes
default:
    @just --justfile "{{ justfile() }}" --list

# generate designs and write their CIFs: just pipeline [preset=extended] [input_json_path=design.json] [dump_dir=results/] [seeds=1,2] ...
[no-cd]
pipeline *settings:
    @"{{ root }}/tools/recipe" pipeline "$@"

# only generate the raw chunk files; prints their paths
[no-cd]
sample *settings:
    @"{{ root }}/tools/recipe" sample "$@"

# only write the CIFs of the chunks that are there
[no-cd]
write-cif *settings:
    @"{{ root }}/tools/recipe" write-cif "$@"

# how far the runs are: just status [dump_dir]
[no-cd]
status *settings:
    @"{{ root }}/tools/recipe" status "$@"

# look at the task before a run: chains, crop, hotspots, what may be wrong with them
[no-cd]
target *settings:
    @"{{ root }}/tools/recipe" target "$@"

# score the designs and list the best: just score [dump_dir] [top=20]
[no-cd]
score *settings:
    @"{{ root }}/tools/recipe" score "$@"

# set the environment up (done by every recipe when needed)
setup:
    @"{{ root }}/bin/just" --version

# run the tests (words go to pytest)
test *words: setup
    "{{ root }}/.venv/bin/python" -m pytest "$@"

# break runs on purpose, and print what became of them: just faults [20 [killed disk_full ...]]
faults *words: setup
    "{{ root }}/.venv/bin/python" tests/faults.py "$@"

# feed N mutated files of each kind to everything that reads one
fuzz times="2000": setup
    "{{ root }}/.venv/bin/python" tests/fuzz.py "{{ times }}"

# check style and types
lint: setup
    "{{ root }}/.venv/bin/ruff" check .
    "{{ root }}/.venv/bin/ruff" format --check .
    "{{ root }}/.venv/bin/mypy"

# reformat the sources
format: setup
    "{{ root }}/.venv/bin/ruff" check --fix .
    "{{ root }}/.venv/bin/ruff" format .

# remove the results of a dump_dir after asking: just clean [dump_dir]
[confirm("Remove all designs, chunks and saved states there?")]
[no-cd]
clean folder="results":
    rm -rf -- "{{ folder }}/global_run_0"

# time the denoiser step against its matrix products, and the tools: just bench [step|tools] [--device gpu]
bench *words: setup
    "{{ root }}/.venv/bin/python" tools/bench.py "$@"
