"""Pictures as bytes: animated WebP that loops, contact sheets as JPEG, each no larger than what a page can hold."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from utils.errors import UserError

HEIGHT = 112  # of the frames in a page
SHEET_FRAMES = 8
CLIP_FRAMES = 16
CLIP_SECONDS = 2.0
LARGEST = 50_000  # bytes of a clip, and of a sheet: 200 errors with both, in base64, are 27 MB
SHEET_QUALITIES = (75, 50, 25, 5)
CLIP_QUALITIES = (30, 10, 0)


def encode_webp(pictures: Sequence[Image.Image], *, seconds: float, quality: int) -> bytes:
    """An animated WebP of all `pictures` in `seconds`, again and again."""
    data = io.BytesIO()
    options = {"duration": round(1000 * seconds / len(pictures)), "loop": 0, "quality": quality}
    pictures[0].save(data, "WEBP", save_all=True, append_images=pictures[1:], **options)
    return data.getvalue()


def write_webp(path: Path, pictures: Sequence[Image.Image], *, seconds: float, quality: int) -> None:
    """An animated WebP as a file; makes its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_webp(pictures, seconds=seconds, quality=quality))
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error})") from error


def sheet_url(thumbnails: Sequence[Image.Image]) -> str:
    """Pictures of one size side by side, as a data URL of a JPEG."""
    width, height = thumbnails[0].size
    sheet = Image.new("RGB", (width * len(thumbnails), height))
    for place, picture in enumerate(thumbnails):
        sheet.paste(picture, (place * width, 0))

    def encode(quality: int) -> bytes:
        data = io.BytesIO()
        sheet.save(data, "JPEG", quality=quality)
        return data.getvalue()

    return _url("jpeg", _small_enough(encode, SHEET_QUALITIES))


def clip_url(thumbnails: Sequence[Image.Image]) -> str | None:
    """Pictures of one size one after the other, as a data URL of a looping WebP; None where it is too large anyhow."""
    data = _small_enough(lambda quality: encode_webp(thumbnails, seconds=CLIP_SECONDS, quality=quality), CLIP_QUALITIES)
    return _url("webp", data) if len(data) <= LARGEST else None


def thumbnail(picture: Image.Image) -> Image.Image:
    """The picture at HEIGHT."""
    return picture.resize((max(1, round(picture.width * HEIGHT / picture.height)), HEIGHT))


def _small_enough(encode: Callable[[int], bytes], qualities: Sequence[int]) -> bytes:
    """The first of the qualities that gives LARGEST bytes at most; the last one where none does."""
    data = b""
    for quality in qualities:
        data = encode(quality)
        if len(data) <= LARGEST:
            return data
    return data


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
