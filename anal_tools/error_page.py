"""One self-contained page with the most confident errors: frames, label, prediction, best classes."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from PIL import Image

from anal_tools.results_file import Results
from anal_tools.tables import Error
from datasets.broken_video import BrokenVideo
from datasets.frame_names import find_frame_names
from datasets.frame_sources import FolderSource, FrameSource, ImageFileSource, VideoSource

TEMPLATES = Path(__file__).resolve().parent / "templates"
FRAMES = 8
PICTURES = (".jpg", ".jpeg", ".png")
THUMBNAIL_HEIGHT = 112
THUMBNAIL_QUALITY = 75


class Shown(NamedTuple):
    """An error and its contact sheet as a data URL, or why there is none."""

    error: Error
    sheet: str | None
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


def contact_sheet(source: FrameSource, video: str, num_frames: int) -> str:
    """FRAMES evenly spaced frames side by side, as a data URL of a JPEG; raises `BrokenVideo`."""
    count = num_frames or source.num_frames(video)
    indices = np.linspace(0, count - 1, min(FRAMES, count)).round().astype(np.int64)
    pictures = [_picture(frame.numpy()) for frame in source.read(video, indices)]
    width = max(1, round(pictures[0].width * THUMBNAIL_HEIGHT / pictures[0].height))
    sheet = Image.new("RGB", (width * len(pictures), THUMBNAIL_HEIGHT))
    for place, picture in enumerate(pictures):
        sheet.paste(picture.resize((width, THUMBNAIL_HEIGHT)), (place * width, 0))
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=THUMBNAIL_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def with_frames(errors: Sequence[Error], results: Results, root: Path) -> list[Shown]:
    """Each error with its frames, or with a line on why they can't be shown."""
    shown = []
    for error in errors:
        try:
            source = open_source(root, error.path, results.image_tmpl)
            sheet = contact_sheet(source, error.path, int(results.num_frames[error.row]))
            shown.append(Shown(error, sheet, None))
        except BrokenVideo as broken:
            shown.append(Shown(error, None, f"frames not found: {broken.reason}"))
    return shown


def write_page(path: Path, shown: Sequence[Shown], *, summary: dict[str, str]) -> None:
    """Write the page; `summary` is a table of names and values on top of it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("errors.html").render(shown=shown, summary=summary)
    path.write_text(page, encoding="utf-8")
