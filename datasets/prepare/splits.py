"""Official split files, each read into the same form: names of classes, and (video, label) of train and val.

Every function takes the place of the labels and the folders of frames that are there; a video's frames may lie in a
folder of its class or not. Faulty files raise `UserError` with file:line.
"""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

from datasets.list_file import read_list
from datasets.prepare.find_videos import without_suffix
from datasets.prepare.frame_counts import FrameFolders
from utils.errors import UserError

KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
KINETICS_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val"}  # test has no labels
HMDB51_CLASSES = 51
ANY_LABEL = 10**6


class ListedVideo(NamedTuple):
    """`path` of the frames below the frames folder, `label` from 0."""

    path: str
    label: int


class Split(NamedTuple):
    """Videos of `train` and `val` in the order of the official files; either may be empty."""

    class_names: list[str]
    train: list[ListedVideo]
    val: list[ListedVideo]


def numbered_lines(file: Path, needs: str) -> list[tuple[int, str]]:
    """(line number, text) of every line that isn't blank."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; needs {needs}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); needs {needs}") from error
    numbered = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not numbered:
        raise UserError(f"{file}: is empty; needs {needs}")
    return numbered


def read_classes(file: Path) -> list[str]:
    """Names by label from a classInd.txt: lines `number name`, counted from 1 or 0 and in any order, or `name`."""
    lines = [line for _, line in numbered_lines(file, "a line per class: `number name`")]
    pairs = [line.split(maxsplit=1) for line in lines]
    by_number = {int(pair[0]): pair[1] for pair in pairs if len(pair) == 2 and pair[0].isdecimal()}
    if sorted(by_number) in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return [by_number[number] for number in sorted(by_number)]
    return lines


def _nested_or_flat(class_name: str, video: str, folders: FrameFolders) -> str:
    return folders.first_of([f"{class_name}/{video}", video, f"{class_name.replace(' ', '_')}/{video}"])


def ucf101(labels: Path, folders: FrameFolders, *, split: int) -> Split:
    """UCF101's ucfTrainTestlist: classInd.txt, trainlist0N.txt, testlist0N.txt (N 1 to 3)."""
    names = read_classes(labels / "classInd.txt")
    label_of = {name: label for label, name in enumerate(names)}

    def read(file: Path) -> list[ListedVideo]:
        videos = []
        for number, line in numbered_lines(file, "UCF101's ucfTrainTestlist folder, from the official site"):
            class_name, slash, name = line.split()[0].partition("/")
            if not slash or class_name not in label_of:
                raise UserError(f"{file}:{number}: got {line!r}, needs `class/video.avi` with a class of classInd.txt")
            video = _nested_or_flat(class_name, without_suffix(name), folders)
            videos.append(ListedVideo(video, label_of[class_name]))
        return videos

    return Split(names, read(labels / f"trainlist{split:02d}.txt"), read(labels / f"testlist{split:02d}.txt"))


def hmdb51(labels: Path, folders: FrameFolders, *, split: int) -> Split:
    """HMDB51's 70/30 splits: <class>_test_splitN.txt with `video 0|1|2` (1 train, 2 test, 0 neither)."""
    suffix = f"_test_split{split}.txt"
    names = sorted(file.name.removesuffix(suffix) for file in labels.glob(f"*{suffix}"))  # climb before climb_stairs
    if len(names) != HMDB51_CLASSES:
        raise UserError(
            f"{labels}: got {len(names)} files *{suffix}, needs {HMDB51_CLASSES}: HMDB51's testTrainMulti_7030_splits"
        )
    parts: dict[str, list[ListedVideo]] = {"0": [], "1": [], "2": []}
    for label, name in enumerate(names):
        file = labels / f"{name}{suffix}"
        for number, line in numbered_lines(file, "lines `video 0|1|2`"):
            video, _, part = line.rpartition(" ")
            if part not in parts or not video:
                raise UserError(f"{file}:{number}: got {line!r}, needs `video 0|1|2`")
            path = _nested_or_flat(name, without_suffix(video.strip()), folders)
            parts[part].append(ListedVideo(path, label))
    return Split(names, parts["1"], parts["2"])


def kinetics(labels: Path, folders: FrameFolders, *, class_file: Path | None = None) -> Split:
    """Kinetics csv files (label, youtube_id, time_start, time_end, split), one or a folder of them.

    Classes are numbered as sorted, or as in `class_file`, which files without a video of every class need. Frames lie
    in `<id>_<start>_<end>` (six digits each), or in `<id>`. A csv may hold one split only.
    """
    files = sorted(labels.glob("*.csv")) if labels.is_dir() else [labels]
    if not files:
        raise UserError(f"{labels}: no .csv in it; needs Kinetics' csv files ({','.join(KINETICS_COLUMNS)})")
    rows = [row for file in files for row in _kinetics_rows(file)]
    present = {row["label"] for row in rows}
    names = read_classes(class_file) if class_file else sorted(present)
    strange = sorted(present - set(names))
    if strange:
        raise UserError(f"{class_file}: lacks {len(strange)} classes of {labels}, e.g. {strange[0]!r}")
    label_of = {name: label for label, name in enumerate(names)}
    parts: dict[str, list[ListedVideo]] = {"train": [], "val": []}
    for row in rows:
        clip, video, name = row["clip"], row["youtube_id"], row["label"]
        under = name.replace(" ", "_")
        candidates = [f"{name}/{clip}", f"{under}/{clip}", clip, f"{name}/{video}", f"{under}/{video}", video]
        part = KINETICS_SPLITS.get(row["split"])
        if part:
            parts[part].append(ListedVideo(folders.first_of(candidates), label_of[name]))
    return Split(names, parts["train"], parts["val"])


def _kinetics_rows(file: Path) -> list[dict[str, str]]:
    """The labelled rows of a csv, with `clip`, the name of the trimmed video."""
    numbered_lines(file, "Kinetics' csv")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        absent = [column for column in KINETICS_COLUMNS if column not in (reader.fieldnames or ())]
        if absent:
            raise UserError(f"{file}:1: no column {', '.join(absent)}; needs {','.join(KINETICS_COLUMNS)}")
        rows = []
        for row in reader:
            try:
                start, end = (int(float(row[column])) for column in ("time_start", "time_end"))
                row["clip"] = f"{row['youtube_id']}_{start:06d}_{end:06d}"
            except (TypeError, ValueError):
                raise UserError(f"{file}:{reader.line_num}: got {list(row.values())}, needs times in seconds") from None
            if row["label"] and row["split"] in KINETICS_SPLITS:
                rows.append(row)
    return rows


def activitynet(labels: Path, folders: FrameFolders) -> Split:
    """ActivityNet's json. A video's label is that of its longest annotation, of the first among equals.

    Frames lie in `v_<id>` or `<id>`; videos without annotations (the testing subset) are left out.
    """
    numbered_lines(labels, "activity_net.v1-3.min.json")
    parts: dict[str, list[tuple[str, str]]] = {"training": [], "validation": [], "testing": []}
    try:
        for video, entry in json.loads(labels.read_bytes())["database"].items():
            if entry["annotations"]:
                parts[entry["subset"]].append((video, _longest_label(entry)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{labels}: not ActivityNet's json ({type(error).__name__}: {error}); "
            "needs database: {id: {subset, annotations: [{label, segment}]}}"
        ) from error
    names = sorted({label for videos in parts.values() for _, label in videos})
    label_of = {name: label for label, name in enumerate(names)}

    def listed(subset: str) -> list[ListedVideo]:
        return [
            ListedVideo(folders.first_of([f"v_{video}", video, f"{name}/v_{video}"]), label_of[name])
            for video, name in parts[subset]
        ]

    return Split(names, listed("training"), listed("validation"))


def _longest_label(entry: dict[str, Any]) -> str:
    longest = max(entry["annotations"], key=lambda annotation: annotation["segment"][1] - annotation["segment"][0])
    return str(longest["label"])


def ready_lists(train: Path, val: Path, folders: FrameFolders, *, class_file: Path | None) -> Split:
    """Two lists `path [num_frames] label` that exist already; paths may name video files or folders of frames."""
    names = read_classes(class_file) if class_file else None

    def read(file: Path) -> list[ListedVideo]:
        records = read_list(file, num_class=len(names) if names else ANY_LABEL, frames_required=False)
        paths = [records[index].path for index in range(len(records))]
        found = [folders.first_of([without_suffix(path), path]) for path in paths]
        return [ListedVideo(path, int(label)) for path, label in zip(found, records.labels)]

    lists = read(train), read(val)
    if names is None:
        names = [f"class {label}" for label in range(1 + max(video.label for video in [*lists[0], *lists[1]]))]
    return Split(names, *lists)
