"""How the frames of a video's folder are called: given by the config, or read off a folder."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from datasets.broken_video import BrokenVideo
from utils.errors import UserError

NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png))$", re.IGNORECASE)
FLOW_TEMPLATE = "flow_{axis}_{:05d}.jpg"


class FrameNames(NamedTuple):
    """`template` with a place for the number (and, for flow, `{axis}`); `first` is the number of the first frame."""

    template: str
    first: int

    def file(self, index: int, *, axis: str = "") -> str:
        """The name of frame `index`, counted from 0."""
        return self.template.format(index + self.first, axis=axis)

    def count(self, folder: Path) -> int:
        """How many files of `folder` are frames (of flow: x frames); raises `BrokenVideo` where there is no folder."""
        matches = re.compile(_pattern(self.template)).match
        return sum(1 for name in _file_names(folder) if matches(name))


def _pattern(template: str) -> str:
    """A regular expression for the names that a template gives."""
    text = template.replace("{axis}", "x")
    before, after = re.split(r"\{[^}]*\}", text, maxsplit=1)
    return f"^{re.escape(before)}(\\d+){re.escape(after)}$"


def _file_names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise BrokenVideo(f"{folder}: {error.strerror}") from error


def check_template(template: str, *, modality: str) -> str:
    """The config's `image_tmpl`, if it has one place for a number; else `UserError`."""
    try:
        if template.format(1, axis="x") != template.format(2, axis="x"):
            if modality == "Flow" and "{axis}" not in template:
                raise UserError(f"common.image_tmpl: got {template!r}, needs {{axis}} for x and y: {FLOW_TEMPLATE}")
            return template
    except (IndexError, KeyError, ValueError):
        pass
    raise UserError(f"common.image_tmpl: got {template!r}, needs one place for the number, e.g. img_{{:05d}}.jpg")


def find_frame_names(folder: Path, *, modality: str = "RGB", template: str | None = None) -> FrameNames:
    """What frames are called in `folder`; a given `template` settles all but the first number (0 or 1).

    Without one, the commonest numbered name counts (img_00001.jpg, image_00001.jpg, 00001.jpg ...). Raises
    `BrokenVideo` where the folder has no such files.
    """
    names = _file_names(folder)
    if template is None:
        template = FLOW_TEMPLATE if modality == "Flow" else _commonest_template(names, folder)
    matches = [re.match(_pattern(template), name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    if not numbers:
        raise BrokenVideo(f"{folder}: no file is called like {template}")
    return FrameNames(template, min(1, min(numbers)))


def _commonest_template(names: list[str], folder: Path) -> str:
    counts: dict[str, int] = {}
    for name in names:
        match = NUMBERED.match(name)
        if match and not match["prefix"].startswith("flow_"):
            width = len(match["number"])
            # A number that doesn't start with 0 may be wider than it has to be padded to.
            place = f"{{:0{width}d}}" if match["number"][0] == "0" else "{:d}"
            template = f"{match['prefix']}{place}{match['suffix']}"
            counts[template] = counts.get(template, 0) + 1
    if not counts:
        raise BrokenVideo(f"{folder}: no numbered pictures (img_00001.jpg, image_00001.jpg, 00001.jpg ...)")
    padded = {template: count for template, count in counts.items() if not template.count("{:d}")}
    best = padded or counts
    return max(best, key=lambda template: best[template])
