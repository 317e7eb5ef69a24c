"""Read a PyTorch checkpoint without PyTorch, executing nothing of it.

A .pt file is a zip of a pickle and of raw storages. The unpickler knows the handful of names that
tensors and plain containers need and refuses every other one.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pxtools.errors import InputError, shown

STATES = ("model", "model_state_dict")  # where PXDesign's and ProteinMPNN's files have the weights
MAX_PICKLE_BYTES = 100_000_000
# storage class -> (numpy type, name); bfloat16 is read as its bits
STORAGES = {
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "DoubleStorage": "f8",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    numel: int


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor lies in its storage; read only when it is needed."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Name -> float32 or float16 array of a .pt file's model (bfloat16 becomes float32).

    The file holds `{"model": state}`, `{"model_state_dict": state}` or a bare state dict;
    `module.` prefixes are dropped. Raises InputError, naming the reason, for anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            tree = _Unpickler(path, io.BytesIO(archive.read(members["data.pkl"]))).load()
            order = ">" if "byteorder" in members and _is_big(archive, members) else "<"
            tensors = _state_of(path, tree)
            cache: dict[str, np.ndarray] = {}
            return {
                name: _array(path, archive, members, tensor, order, name, cache)
                for name, tensor in tensors.items()
            }
    except (OSError, zipfile.BadZipFile, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: not a readable PyTorch checkpoint: {shown(str(error))}"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: not a PyTorch checkpoint of a model: {shown(repr(error))}"
        ) from None


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """Members by their name below the archive's one top folder."""
    members = {}
    for info in archive.infolist():
        parts = info.filename.split("/")
        if ".." in parts or info.filename.startswith("/") or "\\" in info.filename:
            raise InputError(f"{path}: a member's path leaves the archive: {shown(info.filename)}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{path}: member {shown(info.filename)} is compressed, not PyTorch's")
        members["/".join(parts[1:])] = info.filename
    if "data.pkl" not in members:
        raise InputError.of(path, "file", "a PyTorch checkpoint (data.pkl)", "another zip file")
    if archive.getinfo(members["data.pkl"]).file_size > MAX_PICKLE_BYTES:
        raise InputError(f"{path}: data.pkl is larger than {MAX_PICKLE_BYTES:,} bytes")
    return members


def _is_big(archive: zipfile.ZipFile, members: dict[str, str]) -> bool:
    return archive.read(members["byteorder"]).strip() == b"big"


class _Unpickler(pickle.Unpickler):
    """Builds tensors and plain containers; any other global is refused by name."""

    def __init__(self, path: Path, file: BinaryIO):
        super().__init__(file)
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *ignored: tensor
        if module == "torch" and name in STORAGES:
            return name
        raise InputError(
            f"{self.path}: it asks for {shown(f'{module}.{name}')}, which a checkpoint of weights "
            "does not need: refused, nothing was executed"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, numel = pid
        if kind != "storage" or storage not in STORAGES:
            raise ValueError(f"unknown storage {shown(pid)}")
        if not isinstance(key, str) or type(numel) is not int or numel < 0:
            raise ValueError(f"unknown storage {shown(pid)}")
        return _Storage(key, STORAGES[storage], numel)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *ignored: Any) -> _Tensor:
    numbers = [offset, *shape, *stride]
    if not isinstance(storage, _Storage) or len(shape) != len(stride):
        raise ValueError("a tensor that is none")
    if not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
        raise ValueError("a tensor with impossible sizes")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= storage.numel:
        raise ValueError("a tensor that reaches beyond its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


def _state_of(path: Path, tree: Any) -> dict[str, _Tensor]:
    for key in STATES:
        if isinstance(tree, dict) and isinstance(tree.get(key), dict):
            tree = tree[key]
    if not isinstance(tree, dict) or not tree:
        raise InputError.of(path, "content", 'a state dict, or {"model": ...}', type(tree).__name__)
    state = {}
    for name, tensor in tree.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise InputError.of(path, shown(name), "a tensor", type(tensor).__name__)
        state[name.removeprefix("module.")] = tensor
    if len(state) != len(tree):
        raise InputError(f"{path}: names that differ in their module. prefix only")
    return state


def _array(
    path: Path,
    archive: zipfile.ZipFile,
    members: dict[str, str],
    tensor: _Tensor,
    order: str,
    name: str,
    cache: dict[str, np.ndarray],
) -> np.ndarray:
    storage = tensor.storage
    if storage.kind not in ("f4", "f2", "bf16"):
        raise InputError.of(path, name, "float32, float16 or bfloat16", storage.kind)
    kind = np.dtype(order + ("u2" if storage.kind == "bf16" else storage.kind))
    if storage.key not in cache:
        member = members.get(f"data/{storage.key}")
        held = archive.getinfo(member).file_size if member else 0
        if member is None or held != storage.numel * kind.itemsize:
            raise InputError(
                f"{path}: {shown(name)}: its storage holds {held} bytes, declared are "
                f"{storage.numel * kind.itemsize}"
            )
        cache[storage.key] = np.frombuffer(archive.read(member), np.uint8)
    flat = cache[storage.key].view(kind)
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, np.float32)
    view = np.lib.stride_tricks.as_strided(
        flat[tensor.offset :],
        tensor.shape,
        [step * kind.itemsize for step in tensor.stride],
        writeable=False,
    )
    if storage.kind == "bf16":
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view, kind.newbyteorder("="))
