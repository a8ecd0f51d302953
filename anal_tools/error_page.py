"""One self-contained page with the most confident errors: frames, label, prediction, best classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from PIL import Image

from anal_tools.clips import CLIP_FRAMES, SHEET_FRAMES, clip_url, sheet_url, thumbnail
from anal_tools.results_file import Results
from anal_tools.tables import Error
from datasets.broken_video import BrokenVideo
from datasets.frame_names import find_frame_names
from datasets.frame_sources import FolderSource, FrameSource, ImageFileSource, VideoSource

TEMPLATES = Path(__file__).resolve().parent / "templates"
PICTURES = (".jpg", ".jpeg", ".png")


class Shown(NamedTuple):
    """An error, its contact sheet and its looping clip as data URLs, or why there are none; `width` of a frame."""

    error: Error
    sheet: str | None
    clip: str | None
    width: int
    missing: str | None


def open_source(root: Path, video: str, image_tmpl: str) -> FrameSource:
    """Where frames of `video` come from: image files, video files or folders, by what lies at its path.

    A folder that holds no pictures but flow shows its flow. Raises `BrokenVideo`.
    """
    path = root / video
    if path.is_dir():
        modality = "Flow" if _is_flow(path, image_tmpl) else "RGB"
        return FolderSource(
            root=root, names=find_frame_names(path, modality=modality, template=image_tmpl or None), modality=modality
        )
    if path.suffix.lower() in PICTURES:
        return ImageFileSource(root=root)
    return VideoSource(root=root)


def _is_flow(folder: Path, image_tmpl: str) -> bool:
    if image_tmpl:
        return "{axis}" in image_tmpl
    pictures = [path.name for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    return bool(pictures) and all(name.startswith("flow_") for name in pictures)


def _picture(frame: np.ndarray) -> Image.Image:
    """RGB as it is; of flow, x is red and y green."""
    if frame.shape[2] == 2:
        frame = np.concatenate([frame, np.full_like(frame[..., :1], 128)], axis=2)
    return Image.fromarray(frame)


def _spread(count: int, wanted: int) -> np.ndarray:
    """`wanted` frames of `count`, evenly from the first to the last, or all of them."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(np.int64)


def sheet_and_clip(source: FrameSource, video: str, num_frames: int) -> tuple[str, str | None, int]:
    """Frames of all of the video side by side, and one after the other, as data URLs, and the width of one.

    Raises `BrokenVideo`.
    """
    count = num_frames or source.num_frames(video)
    on_sheet, in_clip = _spread(count, SHEET_FRAMES), _spread(count, CLIP_FRAMES)
    indices = np.union1d(on_sheet, in_clip)
    pictures = [_picture(frame.numpy()) for frame in source.read(video, indices)]
    size = thumbnail(pictures[0]).size
    small = {int(index): picture.resize(size) for index, picture in zip(indices, pictures)}
    clip = clip_url([small[index] for index in in_clip.tolist()]) if count > 1 else None
    return sheet_url([small[index] for index in on_sheet.tolist()]), clip, size[0]


def with_frames(errors: Sequence[Error], results: Results, root: Path) -> list[Shown]:
    """Each error with its frames, or with a line on why they can't be shown."""
    shown = []
    for error in errors:
        try:
            source = open_source(root, error.path, results.image_tmpl)
            found = sheet_and_clip(source, error.path, int(results.num_frames[error.row]))
            shown.append(Shown(error, *found, None))
        except BrokenVideo as broken:
            shown.append(Shown(error, None, None, 0, f"frames not found: {broken.reason}"))
    return shown


def write_page(path: Path, shown: Sequence[Shown], *, summary: dict[str, str]) -> None:
    """Write the page; `summary` is a table of names and values on top of it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("errors.html").render(shown=shown, summary=summary)
    path.write_text(page, encoding="utf-8")
