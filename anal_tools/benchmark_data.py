"""Where a training clip's time goes, what is the bottleneck, how many workers a device needs, and what would help.

    python anal_tools/benchmark_data.py --config exps/<set>/<name>/config.yaml [--clips 64] [--set KEY=VALUE]

Storage, decode and transform are measured in this process with one thread, as in a worker; hand-over by one worker;
copy and compute on the device that a run would take. It trains random weights and writes nothing.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

import torch

from anal_tools.loading_stages import (
    Stage,
    cut_batch,
    device_stages,
    hand_over,
    loading_stages,
    verdict,
)
from datasets.loaders import ClipFormat
from engine import distributed
from engine.commands import read_lists
from engine.config_checks import engine_mistakes
from engine.run import build_run
from engine.weights import build_placed
from methods import kwargs_mistakes
from utils.config_file import load_config
from utils.config_schema import Config
from utils.errors import run_command

CLIPS_ON_CPU = 2  # of a training step there


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, help="the experiment's config.yaml")
    parser.add_argument("--clips", type=int, default=64, help="clips to load (64)")
    parser.add_argument("--steps", type=int, default=2, help="training steps to time (2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.batch_size=8")
    return parser.parse_args(arguments)


def measure(config: Config, options: argparse.Namespace) -> list[Stage]:
    """All stages, in the order of a clip's way."""
    world = distributed.start(config.timeout)
    (videos,) = read_lists(config, "train")
    method = build_placed(config, world, initialise=True)
    clip = ClipFormat(method.sampling, method.frames_per_segment, method.train_crop)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loading_stages(config, videos, clip, min(8, options.clips))  # the first ones open files and libraries
    stages = loading_stages(config, videos, clip, options.clips)
    made = sum(stage.cpu for stage in stages)
    handed, batch = hand_over(config, videos, clip, clips=options.clips, made=made)
    torch.set_num_threads(threads)
    if world.device.type == "cpu":
        batch = cut_batch(batch, CLIPS_ON_CPU)
    run = build_run(config, method, world)
    return [*stages, handed, *device_stages(run, batch, steps=options.steps)]


def main(arguments: list[str] | None = None) -> int:
    """The command; see the module."""
    options = parse_options(arguments)
    overrides = [*options.set, "common.model.pretrained=false"]
    config = load_config(options.config, overrides, checks=(kwargs_mistakes, engine_mistakes))
    stages = measure(config, options)
    print(f"{'stage':10} {'ms':>9} {'ms CPU':>9}   per clip of {config.batch_size} in a batch")
    for stage in stages:
        print(f"{stage.name:10} {stage.wall:9.2f} {stage.cpu:9.2f}")
    for line in verdict(stages, workers=config.workers, cores=len(os.sched_getaffinity(0))):
        print(line)
    return 0


if __name__ == "__main__":
    run_command(main)
