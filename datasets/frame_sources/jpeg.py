"""Bytes of a picture file -> pixels, strictly: a truncated file is an error, never half a grey picture."""

import io
import struct
import warnings
import zlib

import numpy as np
import PIL
import PIL.Image
import simplejpeg
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.jpeg_rows import decode_rows
from utils.transforms import CropBox, cut

LARGEST_PIXELS = 64_000_000  # a 20,000 x 20,000 bomb is refused before its pixels are made
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error),
    *(PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError),
)  # what Pillow raises on broken files


def decode_rgb(data: bytes, path: object, box: CropBox | None = None) -> torch.Tensor:
    """uint8 (H, W, 3) of a JPEG (or of what else Pillow reads); raises `BrokenVideo` that names `path`.

    With `box` that part alone, its colours doubled instead of interpolated where they are stored at half the size.
    """
    return _decode(data, path, "RGB", box)


def decode_grey(data: bytes, path: object, box: CropBox | None = None) -> torch.Tensor:
    """uint8 (H, W, 1), for flow; raises `BrokenVideo`. With `box` that part alone."""
    return _decode(data, path, "GRAY", box)


def size_of(data: bytes, path: object) -> tuple[int, int]:
    """Height and width of a picture, read off its header; raises `BrokenVideo`."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        height, width = _decode_other(data, path, "GRAY").shape[:2]
    return height, width


def check_ends(data: bytes, path: object) -> None:
    """Raise `BrokenVideo` for what begins as a JPEG and does not end as one: a file that was cut short."""
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-64:]:
        raise BrokenVideo(f"{path}: broken JPEG (premature end of file)")


def _decode(data: bytes, path: object, colours: str, box: CropBox | None) -> torch.Tensor:
    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return _part(_decode_other(data, path, colours), box)
    _check_size(height, width, path)
    if stored not in ("YCbCr", "Gray"):
        return _part(_decode_other(data, path, colours), box)
    try:
        if box is None:
            return torch.from_numpy(simplejpeg.decode_jpeg(data, colours))
        rows = decode_rows(data, colours, (box.top + box.height, height, width))
    except ValueError as error:
        raise BrokenVideo(f"{path}: broken JPEG ({error})") from error
    return cut(torch.from_numpy(rows), box)


def _part(pixels: torch.Tensor, box: CropBox | None) -> torch.Tensor:
    return pixels if box is None else cut(pixels, box)


def _check_size(height: int, width: int, path: object) -> None:
    if height * width > LARGEST_PIXELS:
        raise BrokenVideo(f"{path}: {width}x{height} pixels, more than {LARGEST_PIXELS:,} are refused")


def _decode_other(data: bytes, path: object, colours: str) -> torch.Tensor:
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
