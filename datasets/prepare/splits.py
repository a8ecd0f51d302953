"""Official split files, each read into the same form: names of classes, and (video, label) of train and val."""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from datasets.prepare.frame_counts import video_folders
from utils.errors import UserError
from utils.random_streams import stream


class Split(NamedTuple):
    """`train` and `val`: (path of the frames below the frames folder, label) in the order of the official files."""

    class_names: list[str]
    train: list[tuple[str, int]]
    val: list[tuple[str, int]]


def _lines(file: Path, what: str) -> list[str]:
    if not file.is_file():
        raise UserError(f"{file}: no such file; needs {what}")
    return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _stem(name: str) -> str:
    """A video's name without its suffix; a dot inside the name stays."""
    return re.sub(r"\.(avi|mp4|mkv|webm|mov)$", "", name, flags=re.IGNORECASE)


def ucf101(labels: Path, frames: Path, *, split: int) -> Split:
    """UCF101's ucfTrainTestlist: classInd.txt, trainlist0N.txt, testlist0N.txt (N 1 to 3)."""
    what = "UCF101's ucfTrainTestlist folder"
    names = [line.split(maxsplit=1)[1] for line in _lines(labels / "classInd.txt", what)]
    label_of = {name: label for label, name in enumerate(names)}

    def read(file: str) -> list[tuple[str, int]]:
        videos = [_stem(line.split()[0]) for line in _lines(labels / file, what)]
        return [(video, label_of[video.split("/")[0]]) for video in videos]

    return Split(names, read(f"trainlist{split:02d}.txt"), read(f"testlist{split:02d}.txt"))


def hmdb51(labels: Path, frames: Path, *, split: int) -> Split:
    """HMDB51's 70/30 splits: <class>_test_splitN.txt with `video 0|1|2` (1 train, 2 test, 0 neither)."""
    suffix = f"_test_split{split}.txt"
    files = sorted(labels.glob(f"*{suffix}"))
    if not files:
        raise UserError(f"{labels}: no *{suffix} in it; needs HMDB51's testTrainMulti_7030_splits folder")
    names = [file.name.removesuffix(suffix) for file in files]
    parts: dict[str, list[tuple[str, int]]] = {"0": [], "1": [], "2": []}
    for label, (name, file) in enumerate(zip(names, files)):
        for line in _lines(file, "lines `video 0|1|2`"):
            video, part = line.rsplit(maxsplit=1)
            parts[part].append((f"{name}/{_stem(video)}", label))
    return Split(names, parts["1"], parts["2"])


def _find(found: dict[str, list[str]], video: str, otherwise: str) -> str:
    """Where the frames of a video lie, with or without class folders; `otherwise` names it where they don't."""
    return found.get(video, [otherwise])[0]


def kinetics(labels: Path, frames: Path, *, split: int) -> Split:
    """Kinetics csv files (label, youtube_id, time_start, time_end, split), one or a folder of them.

    Frames lie in `<id>_<start>_<end>` (six digits each), or in `<id>`, with or without class folders.
    """
    files = sorted(labels.glob("*.csv")) if labels.is_dir() else [labels]
    found = video_folders(frames)
    rows = []
    for file in files:
        _lines(file, "Kinetics' csv: label,youtube_id,time_start,time_end,split")
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows += list(csv.DictReader(lines))
    missing = {"label", "youtube_id", "time_start", "time_end", "split"} - set(rows[0] if rows else ())
    if missing:
        raise UserError(f"{labels}: no column {', '.join(sorted(missing))}; needs Kinetics' csv")
    names = sorted({row["label"] for row in rows})
    label_of = {name: label for label, name in enumerate(names)}
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "val": []}
    for row in rows:
        clip = f"{row['youtube_id']}_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}"
        path = found.get(clip, found.get(row["youtube_id"], [f"{row['label']}/{clip}"]))[0]
        part = "val" if row["split"].startswith("val") else row["split"]
        if part in parts:
            parts[part].append((path, label_of[row["label"]]))
    return Split(names, parts["train"], parts["val"])


def activitynet(labels: Path, frames: Path, *, split: int) -> Split:
    """ActivityNet's json; a video's label is that of its longest annotation; frames lie in `v_<id>` or `<id>`."""
    try:
        database = json.loads("\n".join(_lines(labels, "activity_net.v1-3.min.json")))["database"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{labels}: not ActivityNet's json with a `database` ({error})") from error
    found = video_folders(frames)
    labelled = {name: entry for name, entry in database.items() if entry.get("annotations")}

    def longest(entry: dict) -> str:
        return max(entry["annotations"], key=lambda each: each["segment"][1] - each["segment"][0])["label"]

    names = sorted({each["label"] for entry in labelled.values() for each in entry["annotations"]})
    label_of = {name: label for label, name in enumerate(names)}
    parts: dict[str, list[tuple[str, int]]] = {"training": [], "validation": [], "testing": []}
    for name, entry in labelled.items():
        path = found.get(f"v_{name}", [_find(found, name, f"v_{name}")])[0]
        parts[entry["subset"]].append((path, label_of[longest(entry)]))
    return Split(names, parts["training"], parts["validation"])


def ready_lists(train: Path, val: Path, class_file: Path | None) -> Split:
    """Two lists `path label` that exist already; a video's suffix is left out of its path."""

    def read(file: Path) -> list[tuple[str, int]]:
        pairs = [line.rsplit(maxsplit=1) for line in _lines(file, "lines `path label`")]
        faults = [pair for pair in pairs if len(pair) != 2 or not pair[1].isdecimal()]
        if faults:
            raise UserError(f"{file}: got {' '.join(faults[0])!r}, needs lines `path label`, labels from 0")
        return [(_stem(path), int(label)) for path, label in pairs]

    lists = read(train), read(val)
    count = 1 + max(label for _, label in [*lists[0], *lists[1]])
    names = [f"class {label}" for label in range(count)]
    if class_file is not None:
        names = [line.split(maxsplit=1)[-1] for line in _lines(class_file, "lines `number name`")]
    if len(names) < count:
        raise UserError(f"{class_file}: names {len(names)} classes, the lists have labels up to {count - 1}")
    return Split(names, *lists)


def class_folders(frames: Path, *, val_fraction: float, group_pattern: str) -> Split:
    """A folder per class; videos of one group (`group_pattern`, e.g. the same scene) stay on one side."""
    names = sorted(folder.name for folder in frames.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not names:
        raise UserError(f"{frames}: no folders in it; needs a folder per class")
    train: list[tuple[str, int]] = []
    val: list[tuple[str, int]] = []
    for label, name in enumerate(names):
        videos = sorted(
            folder.name for folder in (frames / name).iterdir() if folder.is_dir() and folder.name[0] != "."
        )
        chosen = _choose_groups(videos, label, val_fraction=val_fraction, group_pattern=group_pattern)
        for video in videos:
            (val if video in chosen else train).append((f"{name}/{video}", label))
    return Split(names, train, val)


def _choose_groups(videos: Iterable[str], label: int, *, val_fraction: float, group_pattern: str) -> set[str]:
    """Whole groups for validation, at random but alike at every call, until they hold the fraction."""
    groups: dict[str, list[str]] = {}
    for video in videos:
        match = re.search(group_pattern, video)
        groups.setdefault(match[0] if match else video, []).append(video)
    total = sum(map(len, groups.values()))
    chosen: set[str] = set()
    names = sorted(groups)
    for place in stream(0, "validation split", label).permutation(len(names)):
        if len(chosen) >= round(val_fraction * total):
            break
        chosen.update(groups[names[place]])
    return chosen
