"""Something-Something v1 / v2 and Jester: official label, train and validation files, as `splits` reads the others.

Videos are numbered; their frames lie in `<id>` below the frames folder. Test videos have no labels and are left out.
"""

import json
from pathlib import Path
from typing import Any

from datasets.prepare.frame_counts import FrameFolders
from datasets.prepare.splits import ListedVideo, Split, numbered_lines, read_classes
from utils.errors import UserError

JESTER_TEXTS = ("trainlist.txt", "vallist.txt")


def something_v1(labels: Path, folders: FrameFolders) -> Split:
    """something-something-v1-{labels,train,validation}.csv: a class a line; lines `id;class`."""
    return _csv_split(labels, folders, "something-something-v1")


def something_v2(labels: Path, folders: FrameFolders) -> Split:
    """something-something-v2-{labels,train,validation}.json, or those of the later release, without the prefix.

    A class is a template without its brackets; its number stands in labels.json.
    """
    prefix = "something-something-v2-" if (labels / "something-something-v2-labels.json").is_file() else ""
    place = labels / f"{prefix}labels.json"
    numbers = _json(place, dict, "{class: number}")
    names = sorted(numbers, key=lambda name: (len(str(numbers[name])), str(numbers[name])))
    if [str(numbers[name]) for name in names] != [str(label) for label in range(len(names))]:
        raise UserError(f"{place}: got {len(names)} classes with other numbers than 0 to {len(names) - 1}")
    label_of = {name: label for label, name in enumerate(names)}

    def read(side: str) -> list[ListedVideo]:
        file = labels / f"{prefix}{side}.json"
        videos = []
        for place, entry in enumerate(_json(file, list, "[{id, template}]"), start=1):
            try:
                name = str(entry["template"]).replace("[", "").replace("]", "")
                videos.append(ListedVideo(folders.first_of([str(entry["id"])]), label_of[name]))
            except (KeyError, TypeError) as error:
                raise UserError(
                    f"{file}: entry {place}: got {str(entry)[:80]}, needs id and a template of labels.json ({error})"
                ) from error
        return videos

    return Split(names, read("train"), read("validation"))


def jester(labels: Path, folders: FrameFolders) -> Split:
    """jester-v1-{labels,train,validation}.csv, or classInd.txt, trainlist.txt and vallist.txt (lines `id number`).

    Numbers count from 1, as in classInd.txt.
    """
    if not (labels / JESTER_TEXTS[0]).is_file():
        return _csv_split(labels, folders, "jester-v1")
    classes = labels / "classInd.txt"
    names = read_classes(classes if classes.is_file() else labels / "categories.txt")

    def read(file: Path) -> list[ListedVideo]:
        videos = []
        for number, line in numbered_lines(file, "lines `id class`"):
            video, _, label = line.partition(" ")
            if not (label.isdecimal() and 1 <= int(label) <= len(names)):
                raise UserError(f"{file}:{number}: got {line!r}, needs `id class`, class from 1 to {len(names)}")
            videos.append(ListedVideo(folders.first_of([video]), int(label) - 1))
        return videos

    return Split(names, *(read(labels / name) for name in JESTER_TEXTS))


def _csv_split(labels: Path, folders: FrameFolders, prefix: str) -> Split:
    """Files `<prefix>-{labels,train,validation}.csv`: a class a line, its number that of the line; lines `id;class`."""
    names = [name for _, name in numbered_lines(labels / f"{prefix}-labels.csv", "a class a line")]
    label_of = {name: label for label, name in enumerate(names)}

    def read(side: str) -> list[ListedVideo]:
        file = labels / f"{prefix}-{side}.csv"
        videos = []
        for number, line in numbered_lines(file, "lines `id;class`"):
            video, separator, name = line.partition(";")
            if not separator or name not in label_of:
                raise UserError(f"{file}:{number}: got {line!r}, needs `id;class` with a class of {prefix}-labels.csv")
            videos.append(ListedVideo(folders.first_of([video]), label_of[name]))
        return videos

    return Split(names, read("train"), read("validation"))


def _json(file: Path, kind: type[Any], needs: str) -> Any:
    if not file.is_file():
        raise UserError(f"{file}: no such file; needs {needs}")
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise UserError(f"{file}: not JSON ({error}); needs {needs}") from error
    if not isinstance(content, kind):
        raise UserError(f"{file}: got a {type(content).__name__}, needs {needs}")
    return content
