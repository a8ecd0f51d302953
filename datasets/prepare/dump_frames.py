"""Videos to folders of JPEGs, in parallel, resumable.

python -m datasets.prepare.dump_frames VIDEOS FRAMES [--short-side 256 | --size 340x256] [--workers N] [--flow]

srun -n 64 python -m datasets.prepare.dump_frames ...             each task does its part; by hand: --shard I/N

VIDEOS/bend/a.mp4 becomes FRAMES/bend/a/img_00001.jpg ... Run it again to go on, or to try broken videos once more.
Exit status: 0 every video is there whole, 1 some are broken or truncated (FRAMES/dump_report.txt; of a part:
dump_report_I_of_N.txt), 2 a mistake in the command or FRAMES can't be written, 130 stopped by Ctrl-C.
"""

import argparse
import functools
import os
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from datasets.frame_names import DUMPED
from datasets.prepare.arguments import Shard, frame_rate, frame_size, shard, slurm_shard, whole_number
from datasets.prepare.find_videos import VideoFile, find_videos
from datasets.prepare.frame_dump import DumpOptions, DumpResult, dump_video, is_dumped
from datasets.prepare.frame_folder import clear_leftovers
from datasets.prepare.progress import progress_bar
from datasets.prepare.worker_processes import run_in_processes
from utils.errors import UserError, run_command

SCANNING_THREADS = 16
LARGEST_SIDE = 8192


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datasets.prepare.dump_frames", description=__doc__.split("\n")[0])
    parser.add_argument(
        "videos", type=Path, metavar="VIDEOS", help="a folder, searched with its sub-folders; or a file"
    )
    parser.add_argument("frames", type=Path, metavar="FRAMES", help="where the folders of frames go")
    fit = parser.add_mutually_exclusive_group()
    fit.add_argument(
        "--short-side",
        type=whole_number(1, LARGEST_SIDE),
        default=256,
        metavar="PIXELS",
        help="scale frames to this short side, aspect kept; smaller videos stay as they are (256)",
    )
    fit.add_argument(
        "--size", type=frame_size(LARGEST_SIDE), metavar="WxH", help="scale every frame to this size (TSN: 340x256)"
    )
    parser.add_argument("--quality", type=whole_number(1, 100), default=95, help="of the JPEGs, 4:2:0 (95)")
    parser.add_argument("--fps", type=frame_rate(1000), help="frames a second (each frame of the video once)")
    parser.add_argument(
        "--flow",
        action="store_true",
        help="also TV-L1 flow, flow_x_00001.jpg and flow_y_00001.jpg: of n frames, n - 1 pairs; [-20, 20] pixels "
        "become 0 ... 255; takes some 0.5 s per pair of 340x256",
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--workers", type=whole_number(1, 1024), default=cores, help=f"processes (one per core: {cores})"
    )
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="do the I-th (from 0) of N parts (under srun: this task's part)"
    )
    parser.add_argument(
        "--time-limit",
        type=whole_number(1, 10**6),
        default=120,
        metavar="SECONDS",
        help="give a video up when no further frame has come for so long (120)",
    )
    return parser


def report_name(part: Shard | None) -> str:
    """What the report of a part of the work, or of all of it, is called."""
    return f"dump_report_{part.number}_of_{part.parts}.txt" if part else "dump_report.txt"


class Tally:
    """Counts results, and keeps a line on each video that isn't whole."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def add(self, video: VideoFile, result: DumpResult) -> None:
        """Count a result, and print its line if the video isn't whole."""
        self.counts[result.kind] += 1
        if result.kind != "whole":
            line = " ".join(f"{video.name}\t{result.kind}: {result.reason}".splitlines())
            self.problems.append(line.encode("utf-8", "backslashreplace").decode())
            tqdm.write(self.problems[-1])

    def write_report(self, report: Path, summary: str) -> None:
        """A line of summary, then a line `path, tab, what is wrong` for each video that isn't whole."""
        unfinished = report.with_name(f".{report.name}.{os.getpid()}")
        unfinished.write_text("\n".join([f"# {summary}", *sorted(self.problems)]) + "\n", encoding="utf-8")
        unfinished.replace(report)


def _known_results(videos: list[VideoFile], frames: Path, options: DumpOptions) -> list[DumpResult | None]:
    """What is known without work: of videos dumped before, and of names that can't be dumped."""

    def known(video: VideoFile) -> DumpResult | None:
        return DumpResult("broken", video.fault) if video.fault else is_dumped(video, frames, options)

    with ThreadPoolExecutor(SCANNING_THREADS) as pool:
        return list(pool.map(known, videos))


def _new_results(
    videos: list[VideoFile], arguments: argparse.Namespace, options: DumpOptions
) -> Generator[tuple[VideoFile, DumpResult], None, None]:
    """Dump the videos, with progress; each with its result as it is done."""
    work = functools.partial(dump_video, frames=arguments.frames, options=options)
    outcomes = run_in_processes(work, videos, workers=arguments.workers, patience=arguments.time_limit)
    for outcome in progress_bar(outcomes, total=len(videos), what="videos"):
        result = DumpResult("broken", outcome.failure) if outcome.failure else outcome.result
        if result.kind == "unwritable":
            raise UserError(f"FRAMES: {result.reason}; make room or change FRAMES, then run again to go on")
        yield outcome.task, result


def _dump_all(videos: list[VideoFile], arguments: argparse.Namespace, options: DumpOptions) -> int:
    """Dump what isn't there yet, report, and return the exit status."""
    tally = Tally()
    known = _known_results(videos, arguments.frames, options)
    for video, result in zip(videos, known):
        if result is not None:
            tally.add(video, result)
    before = tally.counts["whole"] + tally.counts["truncated"]
    new = _new_results([video for video, result in zip(videos, known) if result is None], arguments, options)
    stopped = ""
    if len(videos) > before:
        (arguments.frames / DUMPED).touch()  # pictures that memcached servers hold are no longer those of this folder
    try:
        for video, result in new:
            tally.add(video, result)
    except KeyboardInterrupt:
        new.close()
        stopped = "; stopped, run again to go on"
    finally:
        clear_leftovers(arguments.frames)
        if len(videos) > before:
            (arguments.frames / DUMPED).touch()
    counts = tally.counts
    summary = (
        f"{len(videos)} videos: {counts['whole']} whole, {counts['truncated']} truncated (kept), {counts['broken']} "
        f"broken; {before} were there before{stopped}"
    )
    report = arguments.frames / report_name(arguments.shard)
    tally.write_report(report, summary)
    print(summary)
    if tally.problems:
        print(f"report: {report}")
    return 130 if stopped else int(bool(tally.problems))


def main(words: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    arguments = _parser().parse_args(words)
    arguments.shard = arguments.shard or slurm_shard(os.environ)
    options = DumpOptions(arguments.short_side, arguments.size, arguments.quality, arguments.flow, arguments.fps)
    found = find_videos(arguments.videos)
    videos = found.videos[arguments.shard.number :: arguments.shard.parts] if arguments.shard else found.videos
    try:
        arguments.frames.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"FRAMES: {arguments.frames} can't be made ({error.strerror}); needs a folder") from error
    arguments.frames = arguments.frames.resolve()
    clear_leftovers(arguments.frames)
    fit = f"{options.size[0]}x{options.size[1]}" if options.size else f"short side at most {options.short_side}"
    if arguments.shard:
        print(f"part {arguments.shard.number} of {arguments.shard.parts}: {len(videos)} of {len(found.videos)} videos")
    print(f"{len(found.videos)} videos ({found.others} other files left out), {fit}, JPEG quality {options.quality}")
    return _dump_all(videos, arguments, options)


if __name__ == "__main__":
    run_command(main)
