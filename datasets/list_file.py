"""List files: one video per line, `path num_frames label`, checked as a whole before anything else happens."""

import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from datasets.plain_list import PlainList, parse_plain
from utils.errors import UserError

REPORTED_LINES = 20
LONGEST_QUOTE = 100
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")  # what fits 32 bits
CLASS_FILES = ("classInd.txt", "calssInd.txt")  # the second as some existing data sets spell it


class VideoRecord(NamedTuple):
    """A line of a list: `path` below the root, `num_frames` (0: not given), `label` from 0, `line` from 1."""

    path: str
    num_frames: int
    label: int
    line: int


class VideoList:
    """The videos of a list; kept in four arrays, so that a million lines cost loader workers little memory."""

    def __init__(self, *, records: list[VideoRecord], list_file: Path) -> None:
        paths, num_frames, labels, lines = zip(*records)
        encoded = [path.encode() for path in paths]
        self.list_file = list_file
        self.labels = np.array(labels, dtype=np.int32)
        self._num_frames = np.array(num_frames, dtype=np.int32)
        self._lines = np.array(lines, dtype=np.int32)
        self._ends = np.cumsum([len(path) for path in encoded], dtype=np.int64)
        self._paths = np.frombuffer(b"".join(encoded), dtype=np.uint8)

    @classmethod
    def of_plain(cls, plain: PlainList, list_file: Path) -> "VideoList":
        """Of a list that was read all lines at once."""
        videos = cls.__new__(cls)
        videos.list_file = list_file
        videos.labels, videos._num_frames = plain.labels, plain.num_frames
        videos._lines = np.arange(1, len(plain.labels) + 1, dtype=np.int32)
        videos._ends, videos._paths = plain.ends, plain.paths
        return videos

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> VideoRecord:
        start = int(self._ends[index - 1]) if index > 0 else 0
        path = self._paths[start : int(self._ends[index])].tobytes().decode()
        return VideoRecord(path, int(self._num_frames[index]), int(self.labels[index]), int(self._lines[index]))

    def where(self, index: int) -> str:
        """`list:line: path` of a video, for messages."""
        record = self[index]
        return f"{self.list_file}:{record.line}: {record.path}"


class _Rules(NamedTuple):
    num_class: int
    frames_required: bool
    outside_root: bool


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror})") from error


@lru_cache(maxsize=4096)  # a long list has few different numbers
def _whole(text: str) -> int | None:
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None


def _short(text: str | bytes) -> str:
    return repr(text[:LONGEST_QUOTE]) + "..." * (len(text) > LONGEST_QUOTE)


def _path_fault(path: str, outside_root: bool) -> str | None:
    if "\0" in path:
        return "got a path with a NUL byte, needs a plain path below the root"
    if outside_root:
        return None
    if path.startswith("/") or (".." in path and ".." in PurePosixPath(path).parts):
        return f"got the path {_short(path)}, needs one that stays below the root: no leading '/', no '..'"
    return None


def _parse_line(text: str, line: int, rules: "_Rules") -> VideoRecord | str:
    """A record, or what is wrong with the line."""
    num_class, frames_required, outside_root = rules
    fields = text.rsplit(None, 2)
    if len(fields) == 3 and not frames_required and _whole(fields[1]) is None:
        fields = text.rsplit(None, 1)  # the path itself has a space
    if len(fields) < 3 and (frames_required or len(fields) < 2):
        return f"got {_short(text)}, needs: path {'num_frames' if frames_required else '[num_frames]'} label"
    path, label = fields[0], _whole(fields[-1])
    frames = _whole(fields[1]) if len(fields) == 3 else 0
    if frames is None or (frames < 1 and len(fields) == 3):
        return f"got num_frames {_short(fields[1])}, needs a whole number of at least 1"
    if label is None:
        return f"got the label {_short(fields[-1])}, needs a whole number from 0 to {num_class - 1}"
    if not 0 <= label < num_class:
        return (
            f"got label {label}, num_class is {num_class}: labels run from 0 to {num_class - 1}; "
            "raise common.model.num_class, or subtract 1 from every label of a list that counts from 1"
        )
    return _path_fault(path, outside_root) or VideoRecord(path, frames, label, line)


def parse_list(
    list_file: Path, *, num_class: int, frames_required: bool = True, outside_root: bool = False
) -> tuple[list[VideoRecord], list[tuple[int, str]]]:
    """The sound lines of a list, and (line, what is wrong) of the others; see `read_list`."""
    rules = _Rules(num_class, frames_required, outside_root)
    records: list[VideoRecord] = []
    faults: list[tuple[int, str]] = []
    for line, raw in enumerate(_read_bytes(list_file).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError:
            faults.append((line, f"got bytes that are not UTF-8, needs UTF-8 text: {_short(raw)}"))
            continue
        if not text:
            continue
        parsed = _parse_line(text, line, rules)
        if isinstance(parsed, str):
            faults.append((line, parsed))
        else:
            records.append(parsed)
    return records, faults


def read_list(
    list_file: Path, *, num_class: int, frames_required: bool = True, outside_root: bool = False
) -> VideoList:
    """Read a list; every faulty line is named in one `UserError`.

    Spaces in paths, tabs, CRLF, a byte-order mark and blank lines are fine. `frames_required=False` allows lines
    without num_frames (`path label`), for video files. `outside_root=True` allows paths that leave the root.
    """
    if not list_file.is_file():
        raise UserError(f"{list_file}: no such list file; needs lines `path num_frames label`")
    plain = parse_plain(_read_bytes(list_file), num_class=num_class, outside_root=outside_root)
    if plain is not None:
        return VideoList.of_plain(plain, list_file)
    records, found = parse_list(
        list_file, num_class=num_class, frames_required=frames_required, outside_root=outside_root
    )
    faults = [f"{list_file}:{line}: {fault}" for line, fault in found]
    if len(faults) > REPORTED_LINES:
        faults[REPORTED_LINES:] = [f"{list_file}: and {len(faults) - REPORTED_LINES} more lines like these"]
    if faults:
        raise UserError(*faults)
    if not records:
        raise UserError(f"{list_file}: the list is empty, needs at least one line `path num_frames label`")
    return VideoList(records=records, list_file=list_file)


def read_class_names(list_file: Path, num_class: int) -> list[str]:
    """Names of the classes from classInd.txt beside the list (`1 name`, `0 name` or `name` a line); else "class 0" ...

    Raises `UserError` where the file names another number of classes.
    """
    for name in CLASS_FILES:
        file = list_file.parent / name
        if file.is_file():
            return _parse_class_names(file, num_class)
    return [f"class {label}" for label in range(num_class)]


def _parse_class_names(file: Path, num_class: int) -> list[str]:
    try:
        text = _read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != num_class:
        raise UserError(
            f"{file}: got {len(lines)} classes, common.model.num_class is {num_class}: "
            "correct num_class, or the file; a line is `number name`"
        )
    pairs = [line.split(maxsplit=1) for line in lines]
    numbers = [_whole(pair[0]) if len(pair) == 2 else None for pair in pairs]
    if None in numbers:
        return lines
    names = {number: pair[1] for number, pair in zip(numbers, pairs)}
    for first in (0, 1):
        if names.keys() == set(range(first, first + num_class)):
            return [names[first + label] for label in range(num_class)]
    raise UserError(f"{file}: got classes {numbers}, needs each number from 0 to {num_class - 1}, or 1 to {num_class}")
