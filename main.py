"""Train or evaluate one experiment.

python main.py --config exps/<set>/<name>/config.yaml                train; go on where an earlier start stopped
python main.py --config ... --evaluate [--load-path FILE]            score the validation list and exit
python main.py --config ... --check                                  build everything, try it, print, write nothing
torchrun --nproc-per-node 2 main.py --config ...                     the same on two ranks; srun likewise
"""

import argparse
import json
from pathlib import Path

from engine import distributed
from engine.commands import check, evaluate_only, train_experiment
from engine.config_checks import engine_mistakes, protocol_overrides
from engine.experiment import Experiment
from engine.last_words import one_account_of_failures
from engine.log import open_log
from engine.parent_watch import watch_parent
from engine.replay import replay
from methods import kwargs_mistakes
from utils.config_file import load_config, repository_path
from utils.config_schema import Config
from utils.errors import UserError, run_command


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Train or evaluate one experiment.")
    parser.add_argument("--config", required=True, help="the experiment's config.yaml; results go into its folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.batch_size=8")
    parser.add_argument("--load-path", help="checkpoint to evaluate, or to start training from")
    parser.add_argument("--protocol", help="center, dense, a protocol's name; with --evaluate several, or all")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--evaluate", action="store_true", help="score the validation list and exit")
    mode.add_argument("--check", action="store_true", help="build everything, try it, print, write nothing")
    mode.add_argument("--replay", metavar="FILE", help="try a batch of results/not_finite_*.pt again, write nothing")
    return parser.parse_args(arguments)


def _names_several(protocol: str | None) -> bool:
    return protocol is not None and (protocol == "all" or "," in protocol)


def main(arguments: list[str] | None = None) -> int:
    """Read the config, start the ranks, do what was asked; returns the exit status."""
    options = parse_options(arguments)
    overrides = [*options.set, *protocol_overrides(options.protocol)]
    if _names_several(options.protocol) and not options.evaluate:
        raise UserError(f"--protocol: got {options.protocol!r}, several are for --evaluate; needs one")
    if options.load_path and not options.evaluate:
        quoted = json.dumps(options.load_path, ensure_ascii=False)  # a path with ": " or " #" is one value for YAML
        overrides.append(f"common.model.pretrained={quoted}")
    config: Config | UserError
    try:
        config = load_config(options.config, overrides, checks=(kwargs_mistakes, engine_mistakes))
    except UserError as error:
        config = error  # raised where all ranks can tell it as one
    world = distributed.start(config.timeout if isinstance(config, Config) else 1.0)
    log_file = Experiment(folder=repository_path(options.config).parent).log_file
    with one_account_of_failures(world, log_file):
        if isinstance(config, UserError):
            raise config
        return _run(config, options, world)


def _run(config: Config, options: argparse.Namespace, world: distributed.World) -> int:
    experiment = Experiment(folder=repository_path(options.config).parent)
    if world.size > 1:
        watch_parent()
    if options.check:
        status = check(config, world)
    elif options.replay:
        open_log(None, rank=world.rank)
        status = replay(config, Path(options.replay), world)
    elif options.evaluate:
        protocols = options.protocol if _names_several(options.protocol) else None
        status = evaluate_only(config, experiment, world, load_path=options.load_path, protocols=protocols)
    else:
        status = train_experiment(config, experiment, world)
    distributed.stop(world)
    return status


if __name__ == "__main__":
    run_command(main)
