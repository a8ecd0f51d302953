"""The five best classes of any video, from a checkpoint alone: it carries its config and the names of its classes.

    python anal_tools/predict.py --load-path exps/<set>/<name>/ckpt_best.pth.tar VIDEO... [--protocol center] [--json]

VIDEO is a video file, a folder of frames, or a picture. One that can't be read is a line, the others are scored; the
exit status is 2 then.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.error_page import open_source
from datasets.broken_video import BrokenVideo
from datasets.evaluation_dataset import EvaluationDataset, EvaluationVideo
from datasets.evaluation_loader import view_batch
from datasets.list_file import VideoList, VideoRecord
from datasets.protocols import Protocol
from engine import distributed
from engine.checkpoint import load_checkpoint
from engine.evaluation_run import build_scorer, choose_protocols
from engine.metrics import ranking, softmax
from engine.view_scoring import ViewScorer
from engine.weights import load_evaluated
from utils.config_schema import Config
from utils.errors import UserError, run_command

TOP = 5


class Predictor(NamedTuple):
    """What scores videos: `class_names` (K,), `views` per batch, `image_tmpl` of folders of frames."""

    scorer: ViewScorer
    protocol: Protocol
    views: int
    class_names: Sequence[str]
    image_tmpl: str


def load_predictor(path: Path, protocol: str | None = None) -> Predictor:
    """The method of one of our checkpoints, ready to score; raises `UserError` for another file."""
    state = load_checkpoint(path)
    config = Config.model_validate(state["config"])
    world = distributed.start(config.timeout)
    config, method, _ = load_evaluated(config, path, world)
    (chosen, *more) = choose_protocols(config, method, protocol)
    if more:
        raise UserError(f"--protocol: got {protocol!r}, several; needs one")
    names = state.get("class_names") or [str(number) for number in range(config.model.num_class)]
    views = view_batch(config, chosen).views
    return Predictor(build_scorer(config, method.eval(), world), chosen, views, names, config.image_tmpl or "")


def load_video(predictor: Predictor, path: Path) -> EvaluationVideo:
    """A video file, folder of frames or picture as the predictor's protocol wants it; raises `UserError`."""
    path = path.absolute()
    try:
        source = open_source(path.parent, path.name, predictor.image_tmpl)
    except BrokenVideo as error:
        raise UserError(error.reason) from error
    videos = VideoList(records=[VideoRecord(path.name, 0, 0, 1)], list_file=Path("predict"))
    try:
        return EvaluationDataset(videos=videos, source=source, protocols=[predictor.protocol])[0]
    except UserError as error:
        if isinstance(error.__cause__, BrokenVideo):
            raise UserError(error.__cause__.reason) from error
        raise


def predict(predictor: Predictor, path: Path) -> list[tuple[str, float]]:
    """The best classes of a video with their probabilities, 0 to 1, the best first; raises `UserError`."""
    video = load_video(predictor, path)
    with torch.inference_mode():
        (found,) = predictor.scorer.score_block([video], predictor.protocol, predictor.views)
    shares = found.scores if predictor.protocol.average == "probabilities" else softmax(found.scores)
    best = ranking(np.asarray(shares)[None])[0, :TOP]
    return [(str(predictor.class_names[label]), float(shares[label])) for label in best]


def for_each_video(videos: Sequence[Path], work: Callable[[Path], str], *, what: str = "") -> None:
    """Print what `work` says of each video, below a progress bar; those that it can't do end as one `UserError`."""
    failures = []
    for path in tqdm(videos, desc=what or None, unit="video", disable=None, leave=False):
        try:
            tqdm.write(work(path))
        except UserError as error:
            failures.append(f"{path}: {' '.join(error.lines)}")
    if failures:
        raise UserError(*failures)


def _lines(path: Path, best: list[tuple[str, float]], *, as_json: bool) -> str:
    if as_json:
        line: dict[str, Any] = {"video": str(path), "top": [[name, round(share, 6)] for name, share in best]}
        return json.dumps(line, ensure_ascii=False)
    return "\n".join([str(path), *(f"  {100 * share:5.1f} %  {name}" for name, share in best)])


def main(arguments: list[str] | None = None) -> int:
    """Score each video and print its best classes; returns the exit status."""
    parser = argparse.ArgumentParser(description="The five best classes of videos, from a checkpoint alone.")
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="video file, folder of frames, picture")
    parser.add_argument("--load-path", required=True, type=Path, help="a checkpoint of a run")
    parser.add_argument("--protocol", help="center, dense, or a protocol's name (default: the run's own)")
    parser.add_argument("--json", action="store_true", help="a line of JSON per video")
    options = parser.parse_args(arguments)
    predictor = load_predictor(options.load_path, options.protocol)
    for_each_video(
        options.videos,
        lambda path: _lines(path, predict(predictor, path), as_json=options.json),
        what=predictor.protocol.name,
    )
    return 0


if __name__ == "__main__":
    run_command(main)
