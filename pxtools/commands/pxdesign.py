"""pxdesign: the published pipeline's front command; its words start these tools.

pxdesign pipeline OPTIONS               px-sample OPTIONS | px-write-cif; so is pxdesign infer
pxdesign sample OPTIONS                 px-sample OPTIONS
pxdesign status DIR                     px-status DIR
pxdesign check-input --yaml FILE        px-target -i FILE
pxdesign parse-target --yaml FILE -o D  px-target -i FILE -o D
pxdesign score DIR                      px-score DIR
"""

import signal
import subprocess
import sys
from types import FrameType

TOOLS = {
    "sample": "sample",
    "status": "status",
    "check-input": "target",
    "parse-target": "target",
    "score": "score",
}
COMMANDS = ",".join(["pipeline", "infer", *TOOLS])
USAGE = f"""usage: pxdesign {{{COMMANDS}}} ...

{(__doc__ or "").split(chr(10), 2)[2].rstrip()}

Options of pipeline are those of px-sample (px-sample --help); --no_align goes to px-write-cif.
"""


def main() -> None:
    words = sys.argv[1:]
    if words and words[0] in ("pipeline", "infer"):
        sys.exit(pipeline(words[1:]))
    if words and words[0] in TOOLS:
        given = ["-i" if word == "--yaml" else word for word in words[1:]]
        sys.exit(subprocess.call([*tool(TOOLS[words[0]]), *given]))
    asked = bool({"-h", "--help"} & set(words))
    print(USAGE, file=sys.stdout if asked else sys.stderr, end="")
    sys.exit(0 if asked else 2)


def tool(name: str) -> list[str]:
    return [sys.executable, "-m", f"pxtools.commands.{name}"]


def pipeline(words: list[str]) -> int:
    """px-sample | px-write-cif as two processes; returns the first exit code that is not 0."""
    no_align = {"--no_align", "--no-align"}
    for_writer = [word for word in words if word in {"-q", "--quiet", *no_align}]
    for_sampler = [word for word in words if word not in no_align]
    if {"-h", "--help"} & set(words):
        return subprocess.call([*tool("sample"), "--help"])
    sampler = subprocess.Popen([*tool("sample"), *for_sampler], stdout=subprocess.PIPE)
    assert sampler.stdout
    writer = subprocess.Popen(
        # a group of its own: it finishes the chunks it was given when the sampler is interrupted
        [*tool("write_cif"), *for_writer],
        stdin=sampler.stdout,
        start_new_session=True,
    )
    sampler.stdout.close()

    def forward(signum: int, frame: FrameType | None) -> None:
        sampler.send_signal(signum)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to px-sample as well
    return sampler.wait() or writer.wait()


if __name__ == "__main__":
    main()
