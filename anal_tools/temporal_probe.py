"""Does a model use time? Its accuracy when the frames of each clip are shuffled, reversed, or one frame repeated.

    python anal_tools/temporal_probe.py --config exps/<set>/<name>/config.yaml \
        --load-path exps/<set>/<name>/ckpt_best.pth.tar [--protocol center] [--out probe.csv]

A frame is read once for all of them. Segments of several frames (flow, RGBDiff) keep their inner order.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.findings import mcnemar
from datasets.evaluation_dataset import EvaluationVideo
from datasets.evaluation_loader import EvaluationLoader, build_evaluation_loader
from datasets.videos import Videos
from engine import distributed
from engine.commands import read_lists
from engine.config_checks import engine_mistakes, protocol_overrides
from engine.distributed import World
from engine.evaluation import Evaluation, evaluate
from engine.evaluation_run import build_scorer, choose_protocol
from engine.log import LOGGER, open_log
from engine.metrics import ranking
from engine.signals import StopRequest
from engine.weights import load_evaluated
from methods import kwargs_mistakes
from methods.method import Method
from utils.config_file import load_config
from utils.config_schema import Config
from utils.errors import UserError, run_command
from utils.random_streams import stream

SURE = 0.05  # p below which a difference is no accident
HEADER = ("frames", "top-1 %", "mean class %", "difference", "predictions changed %", "McNemar's p")


def _shuffled(places: np.ndarray, video: EvaluationVideo) -> np.ndarray:
    return places[:, stream(0, "probe", video.video_index).permutation(places.shape[1])]


ORDERS: dict[str, Callable[[np.ndarray, EvaluationVideo], np.ndarray]] = {
    "as they are": lambda places, _: places,
    "shuffled": _shuffled,
    "reversed": lambda places, _: places[:, ::-1],
    "the middle one repeated": lambda places, _: places[:, [places.shape[1] // 2] * places.shape[1]],
}


def reorder(video: EvaluationVideo, order: str, frames_per_segment: int) -> EvaluationVideo:
    """The video with its clips' segments in another order; segments int64 (clips, segments, frames_per_segment)."""
    clips = video.clip_indices
    places = clips.reshape(len(clips), -1, frames_per_segment)
    return video._replace(clip_indices=np.ascontiguousarray(ORDERS[order](places, video).reshape(clips.shape)))


@dataclass
class _Reordered:
    """The videos of a loader, each in every order as if they were so many protocols."""

    loader: EvaluationLoader

    def __iter__(self) -> Iterator[EvaluationVideo]:
        length = self.loader.protocols[0].frames_per_segment
        for video in self.loader.videos:
            first, *further = (reorder(video, order, length) for order in ORDERS)
            yield first._replace(further=tuple(further))


class Row(NamedTuple):
    """One order: accuracies and differences in percent, share of predictions that changed, McNemar's p."""

    order: str
    top1: float
    mean_class: float
    difference: float
    changed: float
    p: float

    def cells(self) -> list[str]:
        """As text, in the order of HEADER."""
        numbers = [f"{self.top1:.2f}", f"{self.mean_class:.2f}", f"{self.difference:+.2f}", f"{self.changed:.2f}"]
        return [self.order, *numbers, f"{self.p:.3g}"]


def compare(evaluations: list[Evaluation]) -> list[Row]:
    """Each order against the first, the frames as they are."""
    first = evaluations[0]
    predicted, labels = ranking(first.scores)[:, 0], first.labels
    rows = []
    for order, each in zip(ORDERS, evaluations, strict=True):
        other = ranking(each.scores)[:, 0]
        lost, won = (predicted == labels) & (other != labels), (predicted != labels) & (other == labels)
        changed = 100 * float((predicted != other).mean())
        p = mcnemar(int(lost.sum()), int(won.sum()))
        rows.append(Row(order, each.top1, each.mean_class, each.top1 - first.top1, changed, p))
    return rows


def verdict(rows: list[Row]) -> str:
    """One line: whether the order of frames matters to the model, and to how many of its predictions."""
    moved = [row for row in rows if row.order in ("shuffled", "reversed")]
    worse = [row for row in moved if row.difference < 0 and row.p < SURE]
    if worse:
        lowest = min(worse, key=lambda row: row.difference)
        return f"it uses time: {lowest.order}, it loses {-lowest.difference:.2f} % top-1 (p {lowest.p:.2g})"
    changed = max(row.changed for row in moved)
    if changed == 0:
        return "it does not use the order of frames: no prediction changes"
    return f"no sign that it needs the order of frames: {changed:.2f} % of predictions change, accuracy hardly"


def probe(config: Config, method: Method, videos: Videos, *, world: World, stop: StopRequest) -> list[Row] | None:
    """Score every video in every order; None where it was asked to stop."""
    protocol = choose_protocol(config, method)
    loader = build_evaluation_loader(config, videos, [protocol], rank=world.rank, world_size=world.size)
    several = loader._replace(
        videos=_Reordered(loader),  # type: ignore[arg-type]
        protocols=tuple(replace(protocol, name=f"{protocol.name}, {order}") for order in ORDERS),
        batches=loader.batches * len(ORDERS),
    )
    found = evaluate(build_scorer(config, method, world), several, world=world, stop=stop)
    return compare(found) if found else None


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Accuracy when frames are shuffled, reversed, or one is repeated.")
    parser.add_argument("--config", required=True, help="the experiment's config.yaml")
    parser.add_argument("--load-path", required=True, type=Path, help="the checkpoint")
    parser.add_argument("--protocol", help="center, dense, or a protocol's name")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.val_source=...")
    parser.add_argument("--out", type=Path, help="csv file to write too")
    return parser.parse_args(arguments)


def write_csv(path: Path, rows: list[Row]) -> None:
    """The table as a csv file."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *(row.cells() for row in rows)])
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror})") from error


def main(arguments: list[str] | None = None) -> int:
    """Probe and print; returns the exit status."""
    options = parse_options(arguments)
    overrides = [*options.set, *protocol_overrides(options.protocol)]
    config = load_config(options.config, overrides, checks=(kwargs_mistakes, engine_mistakes))
    world = distributed.start(config.timeout)
    open_log(None, rank=world.rank)
    (videos,) = read_lists(config, "val")
    config, method, name = load_evaluated(config, options.load_path, world)
    stop = StopRequest().install()
    rows = probe(config, method, videos, world=world, stop=stop)
    if rows is None:
        return stop.status
    LOGGER.info("probe of %s, %s", name, choose_protocol(config, method).describe())
    for cells in (list(HEADER), *(row.cells() for row in rows)):
        LOGGER.info("%s", "  ".join(cell.ljust(24 if place == 0 else 12) for place, cell in enumerate(cells)).rstrip())
    LOGGER.info("%s", verdict(rows))
    if options.out and world.rank == 0:
        write_csv(options.out, rows)
    distributed.stop(world)
    return 0


if __name__ == "__main__":
    run_command(main)
