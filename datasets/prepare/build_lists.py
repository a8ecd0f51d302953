"""Lists for training and evaluation, from official split files and the folders of frames that are there.

    python -m datasets.prepare.build_lists {ucf101,hmdb51} --frames DIR --labels DIR --split 1 --out DIR
    python -m datasets.prepare.build_lists {kinetics,activitynet} --frames DIR --labels FILE --out DIR
    python -m datasets.prepare.build_lists folder --frames DIR --out DIR [--val-fraction 0.2]
    python -m datasets.prepare.build_lists folder --frames DIR --out DIR --train-list FILE --val-list FILE

writes OUT/train.txt, val.txt, classInd.txt, README, and missing.txt with the videos that have no frames.
"""

import argparse
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from datasets.prepare import splits
from datasets.prepare.frame_counts import count_frames
from datasets.prepare.progress import progress_bar
from utils.errors import UserError, run_command

OFFICIAL = {
    "ucf101": splits.ucf101,
    "hmdb51": splits.hmdb51,
    "kinetics": splits.kinetics,
    "activitynet": splits.activitynet,
}
SPLITS = (1, 2, 3)
SCANNING_THREADS = 16


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Lists from official split files and folders of frames.")
    parser.add_argument("dataset", choices=[*OFFICIAL, "folder"])
    parser.add_argument("--frames", type=Path, required=True, help="folder that dump_frames wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the lists into")
    parser.add_argument("--labels", type=Path, help="official split files; for folder: classInd.txt")
    parser.add_argument("--split", type=int, default=1, choices=SPLITS, help="ucf101, hmdb51: which split")
    parser.add_argument("--train-list", type=Path, help="folder: a list `path label` that exists already")
    parser.add_argument("--val-list", type=Path, help="folder: likewise")
    parser.add_argument("--val-fraction", type=float, default=0.2, help="folder: part for validation")
    parser.add_argument("--group-regex", default=r"_g\d+", help="folder: what of a name its group is, kept together")
    return parser.parse_args(arguments)


def read_split(options: argparse.Namespace) -> splits.Split:
    """The split that the command line asks for."""
    if not options.frames.is_dir():
        raise UserError(f"--frames {options.frames}: no such folder; needs what dump_frames wrote")
    if options.dataset != "folder":
        if options.labels is None or not options.labels.exists():
            raise UserError(f"--labels: got {options.labels}, needs {options.dataset}'s official split files")
        return OFFICIAL[options.dataset](options.labels, options.frames, split=options.split)
    if (options.train_list is None) != (options.val_list is None):
        raise UserError("--train-list and --val-list: got one of them, needs both or none")
    if options.train_list is not None:
        return splits.ready_lists(options.train_list, options.val_list, options.labels)
    if not 0 < options.val_fraction < 1:
        raise UserError(f"--val-fraction: got {options.val_fraction}, needs a number between 0 and 1")
    return splits.class_folders(options.frames, val_fraction=options.val_fraction, group_pattern=options.group_regex)


def with_frames(videos: list[tuple[str, int]], frames: Path, what: str) -> tuple[list[str], list[str]]:
    """List lines of the videos whose frames are there, and the paths of those whose aren't."""
    with ThreadPoolExecutor(SCANNING_THREADS) as pool:
        counted = pool.map(lambda video: count_frames(frames / video[0]), videos)
        counts = list(progress_bar(counted, total=len(videos), what=f"{what} videos"))
    lines = [f"{path} {count} {label}" for (path, label), count in zip(videos, counts) if count]
    return lines, [path for (path, _), count in zip(videos, counts) if not count]


def write_lists(split: splits.Split, options: argparse.Namespace, command: str) -> str:
    """Write all files; returns what was done, in a few lines."""
    train, no_train = with_frames(split.train, options.frames, "train")
    val, no_val = with_frames(split.val, options.frames, "val")
    missing = [*no_train, *no_val]
    if not train and not val:
        raise UserError(
            f"{options.frames}: has frames of none of the {len(missing)} videos, e.g. not of {missing[0]}; "
            "is it the folder that dump_frames wrote?"
        )
    names = [f"{number} {name}" for number, name in enumerate(split.class_names, start=1)]
    summary = (
        f"{len(split.class_names)} classes; train.txt {len(train)} of {len(split.train)} videos, "
        f"val.txt {len(val)} of {len(split.val)}; without frames {len(missing)}"
    )
    readme = f"{options.dataset}, {date.today()}\n{summary}\nframes: {options.frames}\nmade by: {command}\n"
    options.out.mkdir(parents=True, exist_ok=True)
    for file, lines in (("train.txt", train), ("val.txt", val), ("classInd.txt", names), ("missing.txt", missing)):
        (options.out / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (options.out / "README").write_text(readme, encoding="utf-8")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """Read the split, count frames, write lists; returns the exit status."""
    options = parse_options(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "datasets.prepare.build_lists", *words])
    summary = write_lists(read_split(options), options, command)
    print(f"{summary}; written to {options.out}")
    missing = (options.out / "missing.txt").stat().st_size
    if missing:
        print(f"videos without frames were left out; they are listed in {options.out / 'missing.txt'}")
    return 0


if __name__ == "__main__":
    run_command(main)
