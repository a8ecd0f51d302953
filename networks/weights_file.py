"""Files of weights of any origin, read without running anything in them: torch's archives and Caffe2's pickles."""

import argparse
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from networks.pretrained import read_state_dict
from utils.errors import UserError

TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch's files from before 1.6 begin
PICKLE = b"\x80"


class Inert(dict):
    """What stands in for a peer's class of settings or records: it holds what it is given and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


# Beside weights, official files hold their settings and records of numbers, some as classes of the peers' own.
INERT_NAMES = (
    "fvcore.common.config.CfgNode",
    "yacs.config.CfgNode",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "mmengine.logging.history_buffer.HistoryBuffer",
)
_RECONSTRUCT: Any = np.ones(1).__reduce__()[0]
_SCALAR: Any = np.float64(1).__reduce__()[0]
_DTYPES = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool")]
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.ndarray,
    np.dtype,
    *_DTYPES,
    *((_RECONSTRUCT, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((Inert, name) for name in INERT_NAMES),
]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How Python 2's arrays write their bytes: as text of one character each."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
}


class ArrayUnpickler(pickle.Unpickler):
    """Knows numpy's arrays, numbers, text and plain containers; every other name ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        """The few functions that arrays are made by."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return ALLOWED[module, name]


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        loaded = ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # damaged pickles raise a dozen kinds
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path}: refused: a pickle may hold arrays and plain values only ({reason})") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: got a {type(loaded).__name__}, needs a dictionary of arrays")
    return {key: _as_tensors(value) for key, value in loaded.items()}


def _as_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(value.copy())
    return {key: _as_tensors(part) for key, part in value.items()} if isinstance(value, dict) else value


def read_weights_file(path: Path) -> dict[str, Any]:
    """What a file of weights holds, arrays as tensors on the CPU; nothing in it is run.

    Raises `UserError`, one line, where it is missing, damaged, or holds more than tensors and plain values.
    """
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len(TORCH_MAGIC))
        if start.startswith(PICKLE) and start != TORCH_MAGIC:
            return _read_pickle(path)
    with torch.serialization.safe_globals(HARMLESS):
        return read_state_dict(path)
