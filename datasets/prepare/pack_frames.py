"""Folders of frames into one packed file, for the videos of one or more lists; resumable, verified.

python -m datasets.prepare.pack_frames FRAMES LIST [LIST ...] OUT.lmdb [--modality Flow] [--workers N]

Then `train_root: OUT.lmdb` and `source: {type: lmdb}`; the list stays as it is. Until it is complete the file is called
OUT.lmdb.packing: run the command again to go on. Exit status: 0 every video is packed, 1 some aren't (a line each),
2 a mistake in the command, or OUT can't be written.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames, check_template, find_frame_names
from datasets.list_file import read_list
from datasets.prepare.arguments import whole_number
from datasets.prepare.packing import PackJob, pack, unpacked_videos
from utils.errors import UserError, run_command

ANY_LABEL = 10**9


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datasets.prepare.pack_frames", description=__doc__.split("\n")[0])
    parser.add_argument("frames", type=Path, metavar="FRAMES", help="the folder that the lists start from")
    parser.add_argument("lists", type=Path, nargs="+", metavar="LIST", help="lists `path num_frames label`")
    parser.add_argument("out", type=Path, metavar="OUT.lmdb", help="the file to write")
    parser.add_argument("--modality", choices=("RGB", "Flow"), default="RGB", help="which pictures (RGB)")
    parser.add_argument("--image-tmpl", help="name of frame number n, e.g. img_{:05d}.jpg (read off the first folder)")
    parser.add_argument("--workers", type=whole_number(1, 1024), default=8, help="threads that read (8)")
    parser.add_argument("--no-verify", action="store_true", help="leave out reading everything back at the end")
    return parser


def listed_videos(lists: Sequence[Path]) -> dict[str, int]:
    """Path and largest num_frames of all videos of the lists, in their order."""
    listed: dict[str, int] = {}
    for file in lists:
        videos = read_list(file, num_class=ANY_LABEL)
        for index in range(len(videos)):
            record = videos[index]
            listed[record.path] = max(record.num_frames, listed.get(record.path, 0))
    return listed


def _names(arguments: argparse.Namespace, first: str) -> FrameNames:
    template = arguments.image_tmpl and check_template(arguments.image_tmpl, modality=arguments.modality)
    try:
        return find_frame_names(arguments.frames / first, modality=arguments.modality, template=template)
    except BrokenVideo as error:
        raise UserError(f"{error.reason}; check FRAMES, or give --image-tmpl") from error


def main(words: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    arguments = _parser().parse_args(words)
    if not arguments.frames.is_dir():
        raise UserError(
            f"FRAMES: got {str(arguments.frames)!r}, no such folder; needs the one that the lists start from"
        )
    listed = listed_videos(arguments.lists)
    out = arguments.out
    if out.exists():
        absent = unpacked_videos(out, list(listed))
        if absent:
            raise UserError(
                f"{out}: is complete, but lacks {len(absent)} of the {len(listed)} listed videos, e.g. {absent[0]}; "
                "remove it, or pack into another file"
            )
        print(f"{out}: all {len(listed)} listed videos are there")
        return 0
    job = PackJob(arguments.frames, out, arguments.modality, _names(arguments, next(iter(listed))))
    faults = pack(job, listed, workers=arguments.workers, verified=not arguments.no_verify)
    for fault in faults:
        print(fault)
    print(f"{out}: {len(listed) - len(faults)} of {len(listed)} videos, {out.stat().st_size / 2**20:,.1f} MiB")
    return int(bool(faults))


if __name__ == "__main__":
    run_command(main)
