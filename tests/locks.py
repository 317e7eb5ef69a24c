"""File systems whose locks do not work, for real processes: a sitecustomize that Python loads."""

from pathlib import Path

from processes import environment

SITECUSTOMIZE = '''
import errno, fcntl, os

host = os.environ["TEST_HOST"]
system, _, *others = os.uname()
os.uname = lambda: os.uname_result((system, host, *others))
real = fcntl.lockf

def failing(file, *words):
    number = getattr(errno, os.environ["TEST_ERRNO"])
    raise OSError(number, os.strerror(number))

def of_one_host(file, *words):
    """A lock that other hosts do not see."""
    name = host + os.readlink(f"/proc/self/fd/{file.fileno()}").replace("/", "_")
    if name not in files:
        files[name] = open(os.path.join(os.path.dirname(__file__), name), "a+b")
    return real(files[name], *words)

files = {}
fcntl.lockf = failing if os.environ["TEST_ERRNO"] else of_one_host
'''


def without_locks(folder: Path, error: str, host: str = "node-1") -> dict[str, str]:
    """The environment of a process on `host` where every lock fails with `error`."""
    shim = folder / "shim"
    if not shim.exists():  # else a process that has just been started may be reading it
        shim.mkdir()
        (shim / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return environment(PYTHONPATH=str(shim), TEST_ERRNO=error, TEST_HOST=host)


def with_locks_of_one_host(folder: Path, host: str) -> dict[str, str]:
    """The environment of a process on `host` whose locks other hosts do not see."""
    return without_locks(folder, "", host)
