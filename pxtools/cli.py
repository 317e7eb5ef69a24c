"""How every tool starts and ends: option spelling, one-line errors, exit codes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import argh

from pxtools.interrupt import Interrupted, catch_interrupts
from pxtools.words import InputError


def run(commands: list[Callable[..., Any]], argv: list[str] | None = None) -> NoReturn:
    """Dispatch a tool's command (or commands, by name), then exit."""
    parser = argh.ArghParser(prog=Path(sys.argv[0]).stem)
    if len(commands) == 1:
        parser.set_default_command(commands[0])
    else:
        parser.add_commands(commands)
    catch_interrupts()
    try:
        words = sys.argv[1:] if argv is None else argv
        parser.dispatch([hyphenated(word) for word in words])
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as stop:
        print(f"{parser.prog}: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(stop.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    sys.exit(0)


def hyphenated(word: str) -> str:
    """--N_sample=5 -> --N-sample=5: both spellings of an option work."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value
