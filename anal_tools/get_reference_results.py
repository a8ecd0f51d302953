"""Score a list with a checkpoint and write one file that the other tools read; or several such files as one.

    python anal_tools/get_reference_results.py --config exps/<set>/<name>/config.yaml \
        --load-path exps/<set>/<name>/ckpt_best.pth.tar [--protocol tsm-dense-10x3] --out results.npz
    python anal_tools/get_reference_results.py --fuse rgb.npz flow.npz [--weights 1 1.5] --out fused.npz
    python anal_tools/get_reference_results.py --join fold1.npz fold2.npz ... --out folds.npz

Of several protocols, or "all", all are scored in one pass over the data, into out.<protocol>.npz each. Killed and
started again it goes on with the videos that are left.
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.fusion import check_same_videos, fuse, search_weights
from anal_tools.joining import join, over_folds, over_videos, right_of
from anal_tools.results_file import Results, check_writable, load_results
from datasets.videos import Videos
from engine import distributed
from engine.commands import read_lists
from engine.config_checks import engine_mistakes, protocol_overrides
from engine.evaluation import Evaluation
from engine.evaluation_run import Wanted, check_names, evaluate_protocols, file_sha256
from engine.evaluation_table import table_lines
from engine.log import LOGGER, open_log
from engine.metrics import top_k_accuracy
from engine.signals import StopRequest
from engine.view_scoring import Kept
from engine.weights import load_evaluated
from methods import kwargs_mistakes
from utils.config_file import config_as_dict, load_config
from utils.config_schema import Config
from utils.errors import run_command

PACKAGES = ("torch", "torchvision", "numpy", "simplejpeg", "av")


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Score a list with a checkpoint and write results.npz.")
    parser.add_argument("--config", help="the experiment's config.yaml")
    parser.add_argument("--load-path", help="the checkpoint")
    parser.add_argument("--protocol", help="center, dense (the method's published one), names with commas, or all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.val_source=...")
    parser.add_argument("--per-view", action="store_true", help="keep the scores of each view too")
    parser.add_argument("--features", action="store_true", help="keep what goes into the classifier too")
    parser.add_argument("--fuse", nargs="+", type=Path, metavar="NPZ", help="fuse these score files instead")
    parser.add_argument("--weights", nargs="+", type=float, help="of --fuse, one per file (default: equal)")
    parser.add_argument("--search-weights", action="store_true", help="of --fuse: the best ones on this very list")
    parser.add_argument(
        "--join", nargs="+", type=Path, metavar="NPZ", help="put the videos of these folds into one file"
    )
    parser.add_argument("--out", required=True, type=Path, help="file to write, *.npz")
    options = parser.parse_args(arguments)
    if not (options.fuse or options.join) and not (options.config and options.load_path):
        parser.error("needs --config and --load-path, or --fuse, or --join")
    if options.fuse and options.join:
        parser.error("--fuse and --join exclude each other")
    if options.weights and options.search_weights:
        parser.error("--weights and --search-weights exclude each other")
    return options


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
        checkpoint_sha256=file_sha256(checkpoint),
        list_file=str(videos.videos.list_file),
        list_sha256=file_sha256(videos.videos.list_file),
        root=str(videos.root),
        image_tmpl=config.image_tmpl or "",
        versions=json.dumps({name: version(name) for name in PACKAGES}),
        views=evaluation.views,
        features=evaluation.features,
    )


def fuse_files(options: argparse.Namespace) -> int:
    """`--fuse`: write the fused scores and say their accuracy beside that of each part."""
    parts = [load_results(path) for path in options.fuse]
    for path, part in zip(options.fuse, parts):
        check_same_videos(parts[0], part, path)
    weights, note = options.weights or [1.0] * len(parts), ""
    if options.search_weights:
        weights, note = search_weights(parts), " (weights searched on these videos)"
    fused = fuse(parts, weights, note=note)
    for name, each in [*((str(path), part) for path, part in zip(options.fuse, parts)), (str(options.out), fused)]:
        accuracy = 100 * top_k_accuracy(each.scores, each.labels, 1)
        print(f"{name}: [{each.protocol}] top-1 {accuracy:.2f} of {len(each.labels)} videos")
    print(f"weights {' '.join(f'{weight:g}' for weight in weights)}{note}")
    fused.save(options.out)
    return 0


def join_files(options: argparse.Namespace) -> int:
    """`--join`: write all folds' videos as one, and say the accuracy of each fold and of all."""
    parts = [load_results(path) for path in options.join]
    joined = join(parts, options.join)
    for path, part in zip(options.join, parts):
        print(f"{path}: [{part.protocol}] top-1 {100 * right_of(part).mean():.2f} of {len(part.labels)} videos")
    print(
        f"all {len(joined.labels)} videos: top-1 {over_videos(parts)}; mean of {len(parts)} folds: {over_folds(parts)}"
    )
    joined.save(options.out)
    return 0


def out_paths(out: Path, evaluations: list[Evaluation]) -> list[Path]:
    """`out` itself for one protocol; `out.<protocol>.npz` for each of several."""
    if len(evaluations) == 1:
        return [out]
    return [out.with_name(f"{out.stem}.{evaluation.protocol.name}.npz") for evaluation in evaluations]


def main(arguments: list[str] | None = None) -> int:
    """Evaluate and write; returns the exit status."""
    options = parse_options(arguments)
    check_writable(options.out)  # now, not after hours of evaluation
    if options.fuse:
        return fuse_files(options)
    if options.join:
        return join_files(options)
    config = load_config(
        options.config, [*options.set, *protocol_overrides(options.protocol)], checks=(kwargs_mistakes, engine_mistakes)
    )
    check_names(config, options.protocol)
    world = distributed.start(config.timeout)
    open_log(None, rank=world.rank)
    (videos,) = read_lists(config, "val")
    checkpoint = Path(options.load_path)
    config, method, _ = load_evaluated(config, checkpoint, world)
    stop = StopRequest().install()
    kept = Kept(views=options.per_view, features=options.features)
    wanted = Wanted(options.protocol, kept, options.out.parent / f".{options.out.stem}.parts", checkpoint)
    found = evaluate_protocols(config, method, videos, wanted, world=world, stop=stop)
    if found is None:
        return stop.status
    for evaluation in found.evaluations:
        LOGGER.info("%s", evaluation.line())
    for line in table_lines(found.evaluations):
        LOGGER.info("%s", line)
    if world.rank == 0:
        for path, evaluation in zip(out_paths(options.out, found.evaluations), found.evaluations):
            build_results(config, evaluation, videos, checkpoint).save(path)
            LOGGER.info("written: %s", path)
        found.remove_parts()
    distributed.stop(world)
    return 0


if __name__ == "__main__":
    run_command(main)
