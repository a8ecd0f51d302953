"""Bytes of a picture file -> pixels, strictly: a truncated file is an error, never half a grey picture."""

import io
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import simplejpeg
import torch

from datasets.broken_video import BrokenVideo

LARGEST_PIXELS = 64_000_000  # a 20,000 x 20,000 bomb is refused before its pixels are made


def decode_rgb(data: bytes, path: Path) -> torch.Tensor:
    """uint8 (H, W, 3) of a JPEG (or of what else Pillow reads); raises `BrokenVideo` that names `path`."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return _decode_other(data, path)
    _check_size(height, width, path)
    if colours not in ("YCbCr", "Gray"):
        return _decode_other(data, path)
    try:
        return torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB"))
    except ValueError as error:
        raise BrokenVideo(f"{path}: broken JPEG ({error})") from error


def decode_grey(data: bytes, path: Path) -> torch.Tensor:
    """uint8 (H, W, 1), for flow; raises `BrokenVideo`."""
    try:
        return torch.from_numpy(simplejpeg.decode_jpeg(data, "GRAY"))
    except ValueError as error:
        raise BrokenVideo(f"{path}: broken JPEG ({error})") from error


def _check_size(height: int, width: int, path: Path) -> None:
    if height * width > LARGEST_PIXELS:
        raise BrokenVideo(f"{path}: {width}x{height} pixels, more than {LARGEST_PIXELS:,} are refused")


def _decode_other(data: bytes, path: Path) -> torch.Tensor:
    """PNG, CMYK and the like, by Pillow."""
    if not data:
        raise BrokenVideo(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data)) as picture:
                _check_size(picture.height, picture.width, path)
                return torch.from_numpy(np.array(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombWarning) as error:
        raise BrokenVideo(f"{path}: not a picture that can be read ({error})") from error


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises `BrokenVideo` where it is missing or can't be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise BrokenVideo(f"{path}: {getattr(error, 'strerror', None) or error}") from error
