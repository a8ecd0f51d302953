"""Bytes of a picture file -> pixels, strictly: a truncated file is an error, never half a grey picture."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import PIL.Image
import simplejpeg
import torch

from datasets.broken_video import BrokenVideo

LARGEST_PIXELS = 64_000_000  # a 20,000 x 20,000 bomb is refused before its pixels are made
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error),
    *(PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError),
)  # what Pillow raises on broken files


def decode_rgb(data: bytes, path: Path) -> torch.Tensor:
    """uint8 (H, W, 3) of a JPEG (or of what else Pillow reads); raises `BrokenVideo` that names `path`."""
    return _decode(data, path, "RGB")


def decode_grey(data: bytes, path: Path) -> torch.Tensor:
    """uint8 (H, W, 1), for flow; raises `BrokenVideo`."""
    return _decode(data, path, "GRAY")


def _decode(data: bytes, path: Path, colours: str) -> torch.Tensor:
    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return _decode_other(data, path, colours)
    _check_size(height, width, path)
    if stored not in ("YCbCr", "Gray"):
        return _decode_other(data, path, colours)
    try:
        return torch.from_numpy(simplejpeg.decode_jpeg(data, colours))
    except ValueError as error:
        raise BrokenVideo(f"{path}: broken JPEG ({error})") from error


def _check_size(height: int, width: int, path: Path) -> None:
    if height * width > LARGEST_PIXELS:
        raise BrokenVideo(f"{path}: {width}x{height} pixels, more than {LARGEST_PIXELS:,} are refused")


def _decode_other(data: bytes, path: Path, colours: str) -> torch.Tensor:
    """PNG, CMYK and the like, by Pillow."""
    if not data:
        raise BrokenVideo(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data)) as picture:
                _check_size(picture.height, picture.width, path)
                pixels = np.array(picture.convert("RGB" if colours == "RGB" else "L"))
    except PIL.UnidentifiedImageError as error:
        raise BrokenVideo(f"{path}: not a picture; begins with {data[:12]!r}") from error
    except UNREADABLE as error:
        raise BrokenVideo(f"{path}: not a picture that can be read ({error})") from error
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1))


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises `BrokenVideo` where it is missing or can't be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise BrokenVideo(f"{path}: {getattr(error, 'strerror', None) or error}") from error
