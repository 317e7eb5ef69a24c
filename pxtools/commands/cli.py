"""How every tool starts and ends: option spelling, one-line errors, exit codes."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import argh

from pxtools.errors import InputError
from pxtools.interrupt import Interrupted, catch_interrupts

EXIT_HELD_BY_OTHERS = 75


def run(command: Callable[..., Any]) -> NoReturn:
    """Run a tool's command with the words of the command line, then exit."""
    parser = argh.ArghParser(prog=command.__name__.replace("_", "-"))
    parser.set_default_command(command)
    catch_interrupts()
    try:
        parser.dispatch([hyphenated(word) for word in sys.argv[1:]])
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        if not str(error).startswith("NumPy was built with baseline"):
            raise
        reason = " ".join(str(error).split())
        print(f"{parser.prog}: numpy does not run on this processor: {reason}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as stop:
        print(f"{parser.prog}: stopped; run the same command to continue", file=sys.stderr)
        sys.exit(stop.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    sys.exit(0)


def paths_from_stdin(otherwise: str) -> Iterator[Path]:
    """The paths on stdin, one a line; at a terminal an InputError that says what to do instead."""
    if sys.stdin.isatty():
        raise InputError(otherwise)
    for line in sys.stdin:
        if line.strip():
            yield Path(line.rstrip("\n"))


def hyphenated(word: str) -> str:
    """--N_sample=5 -> --N-sample=5: both spellings of an option work."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value
