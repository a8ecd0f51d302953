"""The upper rows of a JPEG: what lies below a crop needn't be decoded.

A JPEG is coded from top to bottom, and decoding its Huffman codes takes most of the time. So the decoder is shown a
header that states fewer rows than there are; it stops there, and says that bytes are left over. Any other complaint, a
file cut short among them, is as much of an error as without this. Damage that only makes the picture end at another
byte is not noticed: evaluation, which decodes whole pictures, finds it, as do the checksums of packed files.
"""

import re

import numpy as np
import simplejpeg

BASELINE = (0xC0, 0xC1)  # a single scan from top to bottom
RESTARTS, SCAN = 0xDD, 0xDA
LEFT_OVER = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9")  # the end of the picture


def decode_rows(data: bytes, colours: str, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 (rows, width, C), the upper ones, of a sound JPEG; `shape` is (rows, height, width); raises ValueError.

    Colours at half the resolution are doubled, not interpolated, so that no row depends on the one below it. All rows
    come where the file is not of the plain kind.
    """
    rows, height, width = shape
    shortened = _with_rows(data, rows) if rows < height else None
    if shortened is None:
        return simplejpeg.decode_jpeg(data, colours, fastupsample=True)
    pixels = np.empty((rows, width, 3 if colours == "RGB" else 1), dtype=np.uint8)
    try:
        simplejpeg.decode_jpeg(shortened, colours, fastupsample=True, buffer=pixels)
    except ValueError as error:
        if not LEFT_OVER.fullmatch(str(error)):
            return simplejpeg.decode_jpeg(data, colours, fastupsample=True)
    return pixels


def _with_rows(data: bytes, rows: int) -> bytearray | None:
    """The file with `rows` in its header; None where it is progressive, has restart markers, or isn't understood."""
    place = _place_of_rows(data)
    if place is None:
        return None
    changed = bytearray(data)
    changed[place : place + 2] = rows.to_bytes(2, "big")
    return changed


def _place_of_rows(data: bytes) -> int | None:
    at, found = 2, None
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == SCAN:
            return found
        if marker == RESTARTS:
            return None
        if marker in BASELINE:
            found = at + 5
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
