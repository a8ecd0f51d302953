"""Score a list with a checkpoint and write one file that the other tools read.

    python anal_tools/get_reference_results.py --config exps/<set>/<name>/config.yaml \
        --load-path exps/<set>/<name>/ckpt_best.pth.tar [--protocol tsm-dense-10x3] --out results.npz
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.results_file import Results, check_writable
from datasets.videos import Videos
from engine import distributed
from engine.commands import evaluate_list, read_lists
from engine.config_checks import engine_mistakes, protocol_overrides
from engine.evaluation import Evaluation
from engine.log import LOGGER, open_log
from engine.signals import StopRequest
from engine.weights import load_evaluated
from methods import kwargs_mistakes
from utils.config_file import config_as_dict, load_config
from utils.config_schema import Config
from utils.errors import run_command

PACKAGES = ("torch", "torchvision", "numpy", "simplejpeg", "av")


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Score a list with a checkpoint and write results.npz.")
    parser.add_argument("--config", required=True, help="the experiment's config.yaml")
    parser.add_argument("--load-path", required=True, help="the checkpoint")
    parser.add_argument("--protocol", help="center, dense (the method's published one), or a protocol's name")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.val_source=...")
    parser.add_argument("--out", required=True, type=Path, help="file to write, *.npz")
    return parser.parse_args(arguments)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()


def build_results(config: Config, evaluation: Evaluation, videos: Videos, checkpoint: Path) -> Results:
    """Scores with everything that says where they come from."""
    records = [videos.videos[index] for index in range(len(videos.videos))]
    return Results(
        scores=evaluation.scores,
        labels=evaluation.labels,
        paths=np.array([record.path for record in records]),
        class_names=np.array(videos.class_names),
        num_frames=np.array([record.num_frames for record in records], dtype=np.int64),
        protocol=evaluation.protocol.name,
        average=evaluation.protocol.average,
        config=yaml.safe_dump({"common": config_as_dict(config)}, sort_keys=False),
        checkpoint=str(checkpoint),
        checkpoint_sha256=sha256(checkpoint),
        list_file=str(videos.videos.list_file),
        list_sha256=sha256(videos.videos.list_file),
        root=str(videos.root),
        image_tmpl=config.image_tmpl or "",
        versions=json.dumps({name: version(name) for name in PACKAGES}),
    )


def main(arguments: list[str] | None = None) -> int:
    """Evaluate and write; returns the exit status."""
    options = parse_options(arguments)
    check_writable(options.out)  # now, not after hours of evaluation
    config = load_config(
        options.config, [*options.set, *protocol_overrides(options.protocol)], checks=(kwargs_mistakes, engine_mistakes)
    )
    world = distributed.start(config.timeout)
    open_log(None, rank=world.rank)
    (videos,) = read_lists(config, "val")
    checkpoint = Path(options.load_path)
    config, method, _ = load_evaluated(config, checkpoint, world)
    stop = StopRequest().install()
    evaluation = evaluate_list(config, method, videos, world=world, stop=stop)
    if evaluation is None:
        return stop.status
    LOGGER.info("%s", evaluation.line())
    if world.rank == 0:
        build_results(config, evaluation, videos, checkpoint).save(options.out)
        LOGGER.info("written: %s", options.out)
    distributed.stop(world)
    return 0


if __name__ == "__main__":
    run_command(main)
