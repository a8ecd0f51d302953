"""Lists for training and evaluation, from official split files and the folders of frames that are there.

    python -m datasets.prepare.build_lists {ucf101,hmdb51} --frames DIR --labels DIR --split 1 --out DIR
    python -m datasets.prepare.build_lists {kinetics,activitynet} --frames DIR --labels FILE --out DIR
    python -m datasets.prepare.build_lists {something-v1,something-v2,jester} --frames DIR --labels DIR --out DIR
    python -m datasets.prepare.build_lists folder --frames DIR --out DIR [--val-fraction 0.2] [--group-regex REGEX]
    python -m datasets.prepare.build_lists folder --frames DIR --out DIR --train-list FILE --val-list FILE

writes OUT/train.txt, val.txt, classInd.txt, README, and missing.txt with the videos that have no frames. Flow has
one picture less than a video has frames: lists for it are made with --modality Flow.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from datasets.prepare.frame_counts import FrameFolders, count_frames
from datasets.prepare.progress import progress_bar
from datasets.prepare.something_splits import jester, something_v1, something_v2
from datasets.prepare.split_folders import split_class_folders
from datasets.prepare.splits import ListedVideo, Split, activitynet, hmdb51, kinetics, ready_lists, ucf101
from utils.errors import UserError, run_command

NUMBERED_SPLITS = {"ucf101": ucf101, "hmdb51": hmdb51}
SINGLE_SPLITS = {
    "activitynet": activitynet,
    "something-v1": something_v1,
    "something-v2": something_v2,
    "jester": jester,
}
LABEL_FILES = {
    "ucf101": "the folder ucfTrainTestlist",
    "hmdb51": "the folder testTrainMulti_7030_splits",
    "kinetics": "a csv file of Kinetics-400, 600 or 700, or a folder of them (train, val)",
    "activitynet": "activity_net.v1-3.min.json",
    "something-v1": "the folder of something-something-v1-{labels,train,validation}.csv",
    "something-v2": "the folder of something-something-v2-{labels,train,validation}.json",
    "jester": "the folder of jester-v1-{labels,train,validation}.csv, or of classInd.txt, trainlist.txt, vallist.txt",
}
SCANNING_THREADS = 16


def _fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = -1.0
    if not 0.0 < fraction < 1.0:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a number between 0 and 1")
    return fraction


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a regular expression ({error})") from error


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--frames", type=Path, required=True, help="the folder that dump_frames wrote")
    shared.add_argument("--out", type=Path, required=True, help="the folder to write the lists into")
    shared.add_argument("--modality", choices=("RGB", "Flow"), default="RGB", help="what num_frames counts (RGB)")
    parser = argparse.ArgumentParser(prog="python -m datasets.prepare.build_lists", description=__doc__.split("\n")[0])
    datasets = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    for name, files in LABEL_FILES.items():
        official = datasets.add_parser(name, parents=[shared], help=f"labels: {files}")
        official.add_argument("--labels", type=Path, required=True, help=files)
        if name in NUMBERED_SPLITS:
            official.add_argument("--split", type=int, choices=(1, 2, 3), default=1)
        if name == "kinetics":
            official.add_argument("--classes", type=Path, metavar="FILE", help="classes in their order (sorted names)")
    folder = datasets.add_parser("folder", parents=[shared], help="a folder per class, or two lists `path label`")
    folder.add_argument("--val-fraction", type=_fraction, default=0.2, help="share of each class for val (0.2)")
    folder.add_argument(
        "--group-regex",
        type=_pattern,
        default=re.compile(r"_g\d+"),
        metavar="REGEX",
        help=r"what videos of one scene or person have in common in their names; they stay on one side (_g\d+)",
    )
    folder.add_argument("--train-list", type=Path, help="a ready list, `path label` a line; with --val-list")
    folder.add_argument("--val-list", type=Path, help="likewise")
    folder.add_argument("--labels", type=Path, metavar="CLASSIND", help="classInd.txt that names the lists' labels")
    return parser


def read_split(arguments: argparse.Namespace) -> Split:
    """The split that the command line asks for, its paths pointed at the folders of frames that are there."""
    if not arguments.frames.is_dir():
        raise UserError(f"--frames: got {str(arguments.frames)!r}, no such folder; needs what dump_frames wrote")
    folders = FrameFolders(arguments.frames)
    if arguments.dataset in NUMBERED_SPLITS:
        return NUMBERED_SPLITS[arguments.dataset](arguments.labels, folders, split=arguments.split)
    if arguments.dataset == "kinetics":
        return kinetics(arguments.labels, folders, class_file=arguments.classes)
    if arguments.dataset in SINGLE_SPLITS:
        return SINGLE_SPLITS[arguments.dataset](arguments.labels, folders)
    if (arguments.train_list is None) != (arguments.val_list is None):
        raise UserError("--train-list, --val-list: got one of them, needs both or none")
    if arguments.train_list:
        return ready_lists(arguments.train_list, arguments.val_list, folders, class_file=arguments.labels)
    if arguments.labels:
        raise UserError("--labels: got it without --train-list and --val-list, needs these too; folders name classes")
    return split_class_folders(folders, val_fraction=arguments.val_fraction, group_pattern=arguments.group_regex)


def with_frames(videos: list[ListedVideo], arguments: argparse.Namespace, what: str) -> tuple[list[str], list[str]]:
    """List lines of the videos whose frames are there, and the paths of those whose aren't."""
    with ThreadPoolExecutor(SCANNING_THREADS) as pool:
        counted = pool.map(
            lambda video: count_frames(arguments.frames / video.path, modality=arguments.modality), videos
        )
        counts = list(progress_bar(counted, total=len(videos), what=f"{what} videos"))
    lines = [f"{video.path} {count} {video.label}" for video, count in zip(videos, counts) if count]
    return lines, [video.path for video, count in zip(videos, counts) if not count]


def write_lists(split: Split, arguments: argparse.Namespace, command: str) -> list[str]:
    """Write all files; returns lines that say what was done.

    A side without videos gets no list; one that is there stays, for labels that come in two files.
    """
    listed, missing = {}, []
    report = [f"{len(split.class_names)} classes"]
    for name, videos in (("train", split.train), ("val", split.val)):
        listed[name], absent = with_frames(videos, arguments, name)
        missing += absent
        left = "left as it is" if (arguments.out / f"{name}.txt").exists() else "not written"
        report.append(
            f"{name}.txt: {len(listed[name])} of {len(videos)} videos" if listed[name] else f"{name}.txt: {left}"
        )
    if not listed["train"] and not listed["val"]:
        example = f", e.g. not of {missing[0]}" if missing else ""
        raise UserError(
            f"--frames: {arguments.frames} has frames of none of the {len(missing)} videos{example}; "
            "needs the folder that dump_frames wrote"
        )
    if missing:
        report.append(f"missing.txt: {len(missing)} videos without frames were left out")
    names = [f"{number} {name}" for number, name in enumerate(split.class_names, start=1)]
    made = f"made {datetime.now():%Y-%m-%d %H:%M} by: {command}"
    readme = [f"Lists of {arguments.dataset}, {arguments.modality}", made, f"frames: {arguments.frames}", *report]
    files = {"train.txt": listed["train"], "val.txt": listed["val"], "classInd.txt": names, "missing.txt": missing}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "missing.txt").unlink(missing_ok=True)  # of an earlier call
    for file, lines in {**files, "README": readme}.items():
        if lines:
            (arguments.out / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return report


def main(words: Sequence[str] | None = None) -> int:
    """Read the split, count frames, write lists; returns the exit status."""
    words = sys.argv[1:] if words is None else words
    arguments = _parser().parse_args(words)
    command = shlex.join(["python", "-m", "datasets.prepare.build_lists", *words])
    for line in write_lists(read_split(arguments), arguments, command):
        print(line)
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    run_command(main)
