"""What can be wrong with lists as such: a video twice, in two lists, groups that a split tears apart, empty classes."""

import re
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np

from datasets.finding import Finding
from datasets.list_file import VideoList

UCF101_GROUP = re.compile(r"v_\w+?_g\d+(?=_c\d+)")


def duplicates(videos: VideoList) -> list[Finding]:
    """Videos that stand in the list more than once; the first line counts."""
    first: dict[str, int] = {}
    findings = []
    for index in range(len(videos)):
        record = videos[index]
        before = first.setdefault(record.path, index)
        if before != index:
            other = videos[before]
            labels = "" if other.label == record.label else f", with label {other.label} there and {record.label} here"
            message = f"{record.path}: stands in line {other.line} already{labels}"
            findings.append(Finding(videos.list_file, record.line, "listed twice", message, severe=False))
    return findings


def in_both(train: VideoList, val: VideoList) -> list[Finding]:
    """Videos of `train` that are in `val` too, by their path or by their name alone."""
    paths: dict[str, str] = {}
    names: dict[str, str] = {}
    for index in range(len(val)):
        record = val[index]
        paths[record.path] = names[_name(record.path)] = f"{val.list_file}:{record.line}"
    findings = []
    for index in range(len(train)):
        record = train[index]
        found = paths.get(record.path) or (names.get(_name(record.path)) if _tells(record.path) else None)
        if found:
            message = f"{record.path}: is in {found} too"
            findings.append(Finding(train.list_file, record.line, "in both lists", message, severe=False))
    return findings


def _name(path: str) -> str:
    return PurePosixPath(path).stem if "." in path else path.rpartition("/")[2]


def _tells(path: str) -> bool:
    """Whether a video's name alone says which one it is: `00001` may well be another one in another folder."""
    return not _name(path).isdecimal() and len(_name(path)) >= 8


def shared_groups(train: VideoList, val: VideoList, pattern: re.Pattern[str] = UCF101_GROUP) -> list[Finding]:
    """Groups (what `pattern` finds in a path: UCF101's scenes) with videos on both sides, a finding each."""
    theirs = _groups(val, pattern)
    findings = []
    for group, lines in _groups(train, pattern).items():
        if group in theirs:
            message = (
                f"group {group}: {len(lines)} videos here, {len(theirs[group])} in {val.list_file} "
                f"(line {theirs[group][0]} ...): nearly the same pictures on both sides"
            )
            findings.append(
                Finding(train.list_file, lines[0], "groups in both lists", message, severe=False, keep=None)
            )
    return findings


def _groups(videos: VideoList, pattern: re.Pattern[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in range(len(videos)):
        record = videos[index]
        match = pattern.search(record.path)
        if match:
            groups[match[0]].append(record.line)
    return groups


def histogram(videos: VideoList, num_class: int) -> np.ndarray:
    """Videos of each class, int64 (num_class,)."""
    return np.bincount(videos.labels, minlength=num_class)


def empty_classes(videos: VideoList, class_names: list[str]) -> list[Finding]:
    """Classes without a video, in one finding."""
    empty = np.flatnonzero(histogram(videos, len(class_names)) == 0)
    if not len(empty):
        return []
    some = ", ".join(f"{label} ({class_names[label]})" for label in empty[:5]) + (", ..." if len(empty) > 5 else "")
    message = f"{len(empty)} of {len(class_names)} classes have no video: {some}"
    return [Finding(videos.list_file, 0, "empty classes", message, severe=False, keep=None)]


def describe_histogram(videos: VideoList, class_names: list[str]) -> str:
    """A line: how many videos a class has, the fewest, the median, the most."""
    counts = histogram(videos, len(class_names))
    least, most = int(counts.argmin()), int(counts.argmax())
    present = f"{np.count_nonzero(counts)} of {len(class_names)} classes"
    return (
        f"{videos.list_file}: {len(videos)} videos of {present}; a class has {counts[least]} ({class_names[least]}) "
        f"to {counts[most]} ({class_names[most]}), in the middle {np.median(counts):g}"
    )
