"""The two kinds of errors that are the input's, not the program's."""

import errno
from typing import Any


class InputError(Exception):
    """The user's input is wrong: one line, exit code 2, no traceback."""

    @classmethod
    def of(cls, file: Any, field: str, expected: str, found: Any) -> "InputError":
        """Name the file, the field, what was expected there and what was found instead."""
        return cls(f"{file}: {field}: expected {expected}, found {shown(found)}")

    @classmethod
    def of_option(cls, option: str, expected: str, found: Any) -> "InputError":
        """Name the option, what was expected after it and what was found instead."""
        return cls(f"{option}: expected {expected}, found {shown(found)}")


class DamagedError(Exception):
    """A file of ours that is truncated, altered or not what its name says."""


OUT_OF_MEMORY = (
    *("alloc", "memory", "can't start new thread", "Resource temporarily unavailable"),
    "failed to map segment",  # of a library
    "error return without exception set",  # of C code that could not allocate
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the machine has given no more memory or threads, in whoever's words.

    Asked without memory: a regular expression could not be compiled.
    """
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (
            isinstance(error, RuntimeError | SystemError | ImportError)
            and any(sign in str(error) for sign in OUT_OF_MEMORY)
        )
    )


def shown(value: Any, limit: int = 120) -> str:
    """A value from a user's file in one short, printable line, as the file would have it."""
    if isinstance(value, dict | list | bool):
        import json  # not at every start

        value = json.dumps(value, ensure_ascii=False, default=str)
    text = "" if value is None else str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return (text if len(text) <= limit else text[: limit - 3] + "...") or "nothing"
