"""Are lists and frames what a run needs? One report, before anything trains for a day on what is wrong.

    python -m datasets.prepare.check_lists ROOT TRAIN.txt [VAL.txt] [--num-class N] [--write-clean DIR] [--report FILE]

ROOT is the folder that the lists start from (of frames, or of video files), or a file of pack_frames. Checked: lines,
labels against num_class and classInd.txt, missing folders, frame counts, gaps in numbering, videos that stand in a list
twice or in both lists, UCF101's groups in both lists, classes without a video. `--write-clean` writes the lists
without what can't be used. Exit status: 0 nothing found, 1 something found, 2 a mistake in the command.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.finding import Finding, report_lines
from datasets.frame_checks import Look, frame_findings, look_at_files, look_into_folders, packed_findings
from datasets.frame_names import FrameNames, check_template, find_frame_names
from datasets.frame_sources.root import Root
from datasets.list_checks import describe_histogram, duplicates, empty_classes, in_both, shared_groups
from datasets.list_file import CLASS_FILES, VideoList, VideoRecord, parse_list, read_class_names
from datasets.prepare.arguments import whole_number
from datasets.prepare.find_videos import VIDEO_SUFFIXES
from datasets.prepare.splits import read_classes
from utils.errors import UserError, run_command

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datasets.prepare.check_lists", description=__doc__.split("\n")[0])
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="the folder that the lists start from, or a packed file"
    )
    parser.add_argument("train", type=Path, metavar="TRAIN.txt", help="a list `path num_frames label`")
    parser.add_argument("val", type=Path, nargs="?", metavar="VAL.txt", help="the list to compare it with")
    parser.add_argument(
        "--num-class", type=whole_number(1, 10**6), help="number of classes (that of classInd.txt beside TRAIN.txt)"
    )
    parser.add_argument("--modality", choices=("RGB", "Flow"), default="RGB", help="which pictures (RGB)")
    parser.add_argument("--image-tmpl", help="name of frame number n, e.g. img_{:05d}.jpg (read off the first folder)")
    parser.add_argument("--outside-root", action="store_true", help="paths may leave ROOT (common.source.outside_root)")
    parser.add_argument("--write-clean", type=Path, metavar="DIR", help="write corrected lists into this folder")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write all findings there (20 of a kind are shown)")
    return parser


def _num_class(arguments: argparse.Namespace) -> int:
    if arguments.num_class:
        return int(arguments.num_class)
    for name in CLASS_FILES:
        if (arguments.train.parent / name).is_file():
            return len(read_classes(arguments.train.parent / name))
    raise UserError(
        f"--num-class: got none, and {arguments.train.parent} has no classInd.txt; give the number of classes"
    )


def read_leniently(file: Path, arguments: argparse.Namespace, num_class: int) -> tuple[VideoList | None, list[Finding]]:
    """The sound lines of a list, None if there are none, and a finding for each of the others."""
    if not file.is_file():
        raise UserError(f"{file}: no such list file; needs lines `path num_frames label`")
    files = not arguments.root.is_file() and _lists_files(file)
    records, faults = parse_list(
        file, num_class=num_class, frames_required=not files, outside_root=arguments.outside_root
    )
    findings = [Finding(file, line, "faulty lines", fault) for line, fault in faults]
    if not records:
        return None, [*findings, Finding(file, 0, "empty list", "has no sound line", keep=None)]
    return VideoList(records=records, list_file=file), findings


def _lists_files(file: Path) -> bool:
    """Whether a list names video or picture files: whether its first line does."""
    with file.open("rb") as lines:
        first = lines.readline().decode("utf-8", "replace").strip()
    return any(word.lower().endswith((*VIDEO_SUFFIXES, *PICTURE_SUFFIXES)) for word in first.split())


def _look(videos: VideoList, arguments: argparse.Namespace) -> Look:
    root = Root(arguments.root, outside_root=arguments.outside_root)
    if _lists_files(videos.list_file):
        return look_at_files(root)
    return look_into_folders(root, _frame_names(videos, arguments), arguments.modality)


def _frame_names(videos: VideoList, arguments: argparse.Namespace) -> FrameNames:
    """What frames are called in the first folder that is there."""
    template = arguments.image_tmpl and check_template(arguments.image_tmpl, modality=arguments.modality)
    fault = ""
    for index in range(min(len(videos), 1000)):
        try:
            return find_frame_names(arguments.root / videos[index].path, modality=arguments.modality, template=template)
        except BrokenVideo as error:
            fault = fault or error.reason
    raise UserError(f"ROOT: none of the first videos of {videos.list_file} has frames ({fault}); check ROOT")


def check_list(videos: VideoList, arguments: argparse.Namespace, class_names: list[str]) -> list[Finding]:
    """Findings of one list and its frames."""
    frames = (
        packed_findings(videos, arguments.root)
        if arguments.root.is_file()
        else frame_findings(videos, _look(videos, arguments))
    )
    return [*frames, *duplicates(videos), *empty_classes(videos, class_names)]


def write_clean(file: Path, videos: VideoList | None, findings: list[Finding], folder: Path) -> str:
    """Write the list without the lines that can't be used, with the frame counts that are there; returns a line."""
    keep = {
        finding.line: finding.keep for finding in findings if finding.list_file == file and finding.keep is not None
    }
    records = [videos[index] for index in range(len(videos))] if videos else []
    lines = [_line(record, keep.get(record.line)) for record in records if keep.get(record.line) != 0]
    folder.mkdir(parents=True, exist_ok=True)
    clean = folder / file.name
    if clean.resolve() == file.resolve():
        raise UserError(f"--write-clean: got {str(folder)!r}, the list's own folder; needs another one")
    clean.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"{clean}: {len(lines)} videos"


def _line(record: VideoRecord, num_frames: int | None) -> str:
    frames = num_frames or record.num_frames
    return f"{record.path} {frames} {record.label}" if frames else f"{record.path} {record.label}"


def main(words: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    arguments = _parser().parse_args(words)
    if not arguments.root.exists():
        raise UserError(f"ROOT: got {str(arguments.root)!r}, no such folder or packed file")
    num_class = _num_class(arguments)
    class_names = read_class_names(arguments.train, num_class)
    files = [file for file in (arguments.train, arguments.val) if file]
    read = [read_leniently(file, arguments, num_class) for file in files]
    findings = [finding for _, its in read for finding in its]
    lists = [videos for videos, _ in read if videos]
    for videos in lists:
        print(describe_histogram(videos, class_names))
        findings += check_list(videos, arguments, class_names)
    if len(lists) == 2:
        findings += [*in_both(*lists), *shared_groups(lists[0], lists[1])]
    for line in report_lines(findings):
        print(line)
    if arguments.report:
        arguments.report.write_text("".join(f"{line}\n" for line in report_lines(findings, shown=None)))
    if arguments.write_clean:
        for file, (sound, _) in zip(files, read):
            print(write_clean(file, sound, findings, arguments.write_clean))
    print(f"{len(findings)} findings" if findings else "nothing found")
    return int(bool(findings))


if __name__ == "__main__":
    run_command(main)
