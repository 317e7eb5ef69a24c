"""How every tool starts and ends: option spelling, one-line errors, exit codes."""

import argparse
import codecs
import errno
import io
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import argh

from pxtools import __version__
from pxtools.console import say
from pxtools.errors import InputError, is_out_of_memory, shown
from pxtools.exit_codes import BUG, CLOSED_PIPE
from pxtools.interrupt import (
    Interrupted,
    catch_interrupts,
    finish_what_is_piped_in,
    leave,
    uninterrupted,
)
from pxtools.machine import MB_OF_LIBRARIES, refuse_without_room

WORDS = {  # argparse's messages and ours
    r"^argument (?:\S+/)?(\S+): ": r"\1: ",
    "the following arguments are required: (.*)": r"missing: \1",
    "expected one argument": "expected a value after it, found nothing",
    "unrecognized arguments: (.*)": r"unexpected: \1",
    "ignored explicit argument": "takes no value, found",
}
# what writes to files is told by their names (runs/files.py)
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
KINDS = {int: "a whole number", float: "a number"}


def run(command: Callable[..., Any], module: str = "") -> NoReturn:
    """Run a tool's command with the words of the command line, then exit.

    The `module` that does its work is loaded before it begins, with the libraries it needs.
    """
    _open_closed_streams()
    _pass_any_text()
    try:
        code = _exit_code(command, module)
    except Interrupted as stop:  # while the last line was said
        code = stop.exit_code
    except Exception:
        traceback.print_exc()
        code = BUG
    leave(code)


def _exit_code(command: Callable[..., Any], module: str) -> int:
    name = command.__name__.replace("_", "-")
    try:
        try:
            catch_interrupts()
            Parser(name, command, module).dispatch(sys.argv[1:], completion=False)
        finally:
            sys.stdout.flush()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except Interrupted as stop:
        say(f"{name}: stopped; run the same command to continue")
        return stop.exit_code
    except BrokenPipeError:
        return CLOSED_PIPE
    except (InputError, OSError, MemoryError, RuntimeError, SystemError, ImportError) as error:
        say(f"{name}: {_in_one_line(error, command)}")
        return 2
    return 0


def _in_one_line(error: Exception, command: Callable[..., Any]) -> str:
    """What the user can do something about; anything else is a bug and is raised again."""
    if isinstance(error, InputError):
        return str(error)
    if is_out_of_memory(error):
        takes_memory = {"--sample_diffusion_chunk_size", "--workers"} & options_of(command)
        smaller = f"make {' or '.join(sorted(takes_memory))} smaller, or " if takes_memory else ""
        return (
            "the machine gives no more memory or threads to this process: "
            f"{smaller}raise the limit (ulimit)"
        )
    if isinstance(error, OSError):
        unnamed = "standard output" if error.errno in FULL_DISK else "a file or standard output"
        return f"{error.filename or unnamed}: {error.strerror or error}"
    if str(error).startswith("NumPy was built with baseline"):
        return f"numpy does not run on this processor: {' '.join(str(error).split())}"
    raise error


def _open_closed_streams() -> None:
    """Give descriptors 0 to 2 that are closed to no other file: /dev/null takes their places."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            flags = os.O_RDONLY if name == "stdin" else os.O_WRONLY
            os.dup2(os.open(os.devnull, flags), number)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))


def _pass_any_text() -> None:
    """Let paths of whatever bytes through; what the terminal's encoding lacks becomes a ?."""
    codecs.register_error("path or ?", _path_or_question_mark)
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "path or ?")):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(errors=errors)


def _path_or_question_mark(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


def paths(words: Sequence[str], otherwise: str) -> Iterator[Path]:
    """Those given; those on stdin, one a line, where there are none, or - alone.

    Without words at a terminal an InputError that says what to do instead.
    """
    if words not in ((), ("-",)):
        yield from map(Path, words)
        return
    if not words and sys.stdin.isatty():
        raise InputError(otherwise)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        finish_what_is_piped_in()
    for line in sys.stdin:
        if line.strip():
            yield Path(line.rstrip("\n"))


class Help(argparse.RawDescriptionHelpFormatter):
    """`-o, --dump_dir DUMP_DIR`, whatever Python's version; defaults where there is one to know."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=88)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        unsaid = action.default in (None, False, "", argparse.SUPPRESS) or "default" in text
        return text if unsaid or not action.option_strings else f"{text} (default: %(default)s)"


class Parser(argh.ArghParser):
    """Options by the names of the published pipeline, with hyphens too; errors in one line."""

    def __init__(self, name: str, command: Callable[..., Any], module: str = ""):
        self.module = module
        self.short = {"-h"} | {flag for flag in options_of(command) if len(flag) == 2}
        super().__init__(prog=name, formatter_class=Help)
        self.set_default_command(command, argh.assembling.NameMappingPolicy.BY_NAME_IF_KWONLY)
        self.add_argument("--version", action="version", version=f"{name} {__version__}")

    def add_argument(self, *flags: str, **settings: Any) -> argparse.Action:
        """argh's, without the one-letter options that nobody chose."""
        short = [flag for flag in flags if len(flag) == 2 and flag in self.short]
        long = [underscored(flag) for flag in flags if len(flag) > 2]
        return super().add_argument(*short, *long, **settings)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        typed = list(sys.argv[1:] if args is None else args)
        self._refuse_unknown(typed)
        n = typed.index("--") if "--" in typed else len(typed)  # what comes after it are names
        parsed = super().parse_args([*map(underscored, typed[:n]), *typed[n:]], namespace)
        if self.module:
            self._load_module()
        return parsed

    def _load_module(self) -> None:
        """Libraries abort while they are loaded, where memory is short or a signal raises."""
        refuse_without_room(MB_OF_LIBRARIES, f"{self.prog} and its libraries", "raise it")
        with uninterrupted():
            import_module(self.module)

    def _refuse_unknown(self, typed: list[str]) -> None:
        known = [flag for action in self._actions for flag in action.option_strings]
        with_value = [f for a in self._actions if a.nargs != 0 for f in a.option_strings]
        for before, word in zip(["", *typed], typed, strict=False):
            name = underscored(word.partition("=")[0])
            if word == "--":
                return
            if word.startswith("--") and not any(flag.startswith(name) for flag in known):
                self._refuse(word.partition("=")[0], self._nearest(name))
            elif re.match(r"-[^-\d.]", word):
                if (in_full := underscored(f"-{name}")) in known:
                    self._refuse(word, in_full)
                if word[:2] not in known:
                    if before in with_value and before.startswith("--"):
                        self._refuse(word, f"{before}={word}")
                    is_path = before in with_value or Path(word).exists()
                    self._refuse(word, f"./{word}" if is_path else None)

    def _nearest(self, name: str) -> str | None:
        from difflib import get_close_matches

        of_all = (a.option_strings for a in self._actions if a.help != argparse.SUPPRESS)
        by_case = {flag.lower(): flag for flags in of_all for flag in flags}
        close = get_close_matches(name.lower(), by_case, 1)
        return by_case[close[0]] if close else None

    def _refuse(self, word: str, nearest: str | None) -> NoReturn:
        instead = f"did you mean {nearest}?" if nearest else f"{self.prog} --help lists them"
        raise InputError(f"unknown option {shown(word)}: {instead}")

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        if action.type in KINDS:
            try:
                return action.type(text)
            except ValueError:
                raise InputError(
                    f"{_name(action)}: expected {KINDS[action.type]}, found {shown(text)}"
                ) from None
        may_be_empty = action.default == "" or '""' in (action.help or "")
        if text == "" and not may_be_empty:
            meant = "" if action.help == argparse.SUPPRESS else f" ({action.help})"
            raise InputError(f"{_name(action)}: expected a value{meant}, found nothing")
        return text

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = ", ".join(map(str, action.choices))
            raise InputError(f"{_name(action)}: expected one of {choices}, found {shown(value)}")

    def error(self, message: str) -> NoReturn:
        """argparse's other messages, in words that say what to do."""
        for theirs, ours in WORDS.items():
            message = re.sub(theirs, ours, message)
        is_path = message.startswith("unexpected") and "-i" in self.short
        hint = "a task file comes after -i; " if is_path else ""
        raise InputError(f"{message} ({hint}{self.prog} --help explains the options)")


def _name(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else action.dest


def options_of(command: Callable[..., Any]) -> set[str]:
    """Those that were chosen for it."""
    return {
        underscored(flag)
        for spec in command.argh_args  # type: ignore[attr-defined]
        for flag in spec.cli_arg_names
    }


def those_given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not at rest; 0 is a value."""
    return {n: value for n, value in options.items() if value is not None and value is not False}


def underscored(word: str) -> str:
    """--N-sample=5 -> --N_sample=5: both spellings of an option work."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
