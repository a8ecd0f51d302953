"""How the frames of a video's folder are called: given by the config, or read off a folder."""

import os
import re
import string
from pathlib import Path
from typing import NamedTuple

from datasets.broken_video import BrokenVideo
from utils.errors import UserError

NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png))$", re.IGNORECASE)
DUMPED = ".dumped"  # a file in the root that dump_frames touches before and after it writes frames
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
        return len(self.numbers(folder, axis="x"))

    def numbers(self, folder: Path, *, axis: str = "x") -> list[int]:
        """The numbers of the files of `folder` that are frames, in no order; raises as `count` does."""
        matches = re.compile(_pattern(self.template, axis or "x")).fullmatch
        return [int(match[1]) for name in _file_names(folder) if (match := matches(name))]


def _pattern(template: str, axis: str = "x") -> str:
    """A regular expression for the names that a template gives."""
    parts = [(text, field) for text, field, _, _ in string.Formatter().parse(template)]
    numbers = {None: "", "axis": axis}
    return "".join(re.escape(text) + numbers.get(field, "([0-9]+)") for text, field in parts)


def _file_names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise BrokenVideo(f"{folder}: {error.strerror}") from error


def check_template(template: str, *, modality: str) -> str:
    """The config's `image_tmpl`, if it has one place for a number; else `UserError`.

    Of flow, a place for x and y too: `{axis}`, or as TSN writes it a first `{}` (`flow_{}_{:05d}.jpg`).
    """
    if modality == "Flow" and "{axis}" not in template and template.count("{") == 2:
        template = template.replace("{}", "{axis}", 1)
    try:
        if template.format(1, axis="x") != template.format(2, axis="x"):
            if modality == "Flow" and "{axis}" not in template:
                raise UserError(f"common.image_tmpl: got {template!r}, needs {{axis}} for x and y: {FLOW_TEMPLATE}")
            return template
    except (AttributeError, LookupError, TypeError, ValueError):
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
    matches = [re.fullmatch(_pattern(template), name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    if not numbers:
        raise BrokenVideo(f"{folder}: no file is called like {template}")
    return FrameNames(template, min(1, min(numbers)))


def _commonest_template(names: list[str], folder: Path) -> str:
    series: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names):
        match = NUMBERED.match(name)
        if match and not match["prefix"].startswith("flow_"):
            series.setdefault((match["prefix"], match["suffix"]), []).append(match["number"])
    if not series:
        raise BrokenVideo(f"{folder}: no numbered pictures (img_00001.jpg, image_00001.jpg, 00001.jpg ...)")
    prefix, suffix = max(series, key=lambda name: len(series[name]))
    # Only a number that begins with 0 tells how wide numbers are padded: others may have outgrown it.
    widths = {len(number) for number in series[prefix, suffix] if number.startswith("0") and number != "0"}
    place = f"{{:0{max(widths)}d}}" if widths else "{:d}"
    literal = prefix.replace("{", "{{").replace("}", "}}")
    return f"{literal}{place}{suffix}"
