"""Write a trained model as one file for other runtimes, check that it gives the same scores, and time it.

    python anal_tools/export_model.py --config exps/<set>/<name>/config.yaml \
        --load-path exps/<set>/<name>/ckpt_best.pth.tar --to onnx --out model.onnx [--dynamic-batch] [--online]

The file takes what the method takes: float clips (B, T, C, H, W), colours already normalised (`mean` and `std` are
printed), and gives logits (B, K). With --online (tsm, `shift: unidirectional`) it takes a frame (B, 3, H, W) and the
state that the frame before left, zeros at first, and gives the frame's logits and the new state.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.exported_files import FORMATS, Example, Runner, Tensors, flat
from engine.checkpoint import check_same_experiment
from engine.config_checks import engine_mistakes
from engine.log import LOGGER, open_log
from engine.run import normalisation
from engine.weights import load_weights
from methods import build_method, kwargs_mistakes
from methods.method import Method
from methods.online_tsm import OnlineTSM
from utils.config_file import config_as_dict, load_config
from utils.errors import UserError, run_command

TOLERANCE = 1e-4  # largest difference / largest logit: above it the file is not what was trained


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Write a trained model as a torch.export or ONNX file.")
    parser.add_argument("--config", required=True, help="the experiment's config.yaml")
    parser.add_argument("--load-path", required=True, type=Path, help="the checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. common.workers=0")
    parser.add_argument("--to", required=True, choices=list(FORMATS), help="kind of file")
    parser.add_argument(
        "--out", required=True, type=Path, help="file to write: *.pt2 for torch_export, *.onnx for onnx"
    )
    parser.add_argument("--dynamic-batch", action="store_true", help="leave the batch size open (else it is 1)")
    parser.add_argument("--online", action="store_true", help="online TSM: frame and state in, logits and state out")
    parser.add_argument("--runs", type=int, default=20, help="timed runs (default: 20)")
    return parser.parse_args(arguments)


def make_example(method: Method, *, size: int, batch: int, dynamic_batch: bool) -> Example:
    """A clip of noise for `method`."""
    clips = torch.randn(batch, method.frames_per_view, len(method.mean), size, size)
    return Example((clips,), ("clips",), ("logits",), dynamic_batch)


def make_online_example(online: OnlineTSM, *, size: int, batch: int, dynamic_batch: bool) -> Example:
    """A frame of noise, and the state after another."""
    frames = torch.randn(2, batch, 3, size, size)
    with torch.inference_mode():
        _, state = online(frames[0])
    names = tuple(f"state_{number}" for number in range(len(state)))
    inputs = (frames[1].clone(), *(each.clone() for each in state))
    return Example(inputs, ("frames", *names), ("logits", *(f"next_{name}" for name in names)), dynamic_batch)


def largest_difference(model: nn.Module, run: Runner, inputs: Tensors) -> float:
    """Over all outputs, the largest difference to torch's / the largest value of torch's."""
    with torch.inference_mode():
        wanted = flat(model(*inputs))
    got = run(*inputs)
    assert len(got) == len(wanted), f"{len(got)} outputs, needs {len(wanted)}"
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in zip(got, wanted))


def median_milliseconds(run: Runner, inputs: Tensors, *, runs: int) -> float:
    """Median over `runs` runs, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        run(*inputs)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def build_model(options: argparse.Namespace) -> tuple[nn.Module, dict[bool, Example]]:
    """The trained model in evaluation mode, and examples: of one clip, and (True) of three where the batch is open."""
    config = load_config(options.config, options.set, checks=(kwargs_mistakes, engine_mistakes))
    method = build_method(config.model, initialise=False)
    state = load_weights(method, options.load_path)
    check_same_experiment(state["config"], config_as_dict(config))
    LOGGER.info("colours are normalised by mean %s and std %s", *normalisation(config, method))
    size = config.augmentation.input_size
    if options.online:
        model: nn.Module = OnlineTSM(method)  # type: ignore[arg-type]
    else:
        model = method.eval()
    model.requires_grad_(False)
    examples = {}
    for several in (False, True) if options.dynamic_batch else (False,):
        settings = {"size": size, "batch": 3 if several else 1, "dynamic_batch": options.dynamic_batch}
        if options.online:
            examples[several] = make_online_example(model, **settings)  # type: ignore[arg-type]
        else:
            examples[several] = make_example(method, **settings)
    return model, examples


def main(arguments: list[str] | None = None) -> int:
    """Write, check, time; returns the exit status."""
    options = parse_options(arguments)
    kind = FORMATS[options.to]
    if options.out.suffix != kind.suffix:
        raise UserError(f"--out {options.out}: needs a name that ends in {kind.suffix} for {options.to}")
    kind.check()
    open_log(None, rank=0)
    model, examples = build_model(options)
    partial = options.out.with_name(f"{options.out.stem}.partial{kind.suffix}")
    kind.write(model, examples[options.dynamic_batch], partial)
    run = kind.open(partial)
    for example in examples.values():
        difference = largest_difference(model, run, example.inputs)
        LOGGER.info("batch %d: largest difference / largest value %.1e", len(example.inputs[0]), difference)
        if not difference <= TOLERANCE:
            partial.unlink()
            raise UserError(
                f"{options.out}: differs by {difference:.1e}, at most {TOLERANCE:.0e} is right; not written"
            )
    partial.replace(options.out)
    with torch.inference_mode():
        ours = median_milliseconds(lambda *inputs: flat(model(*inputs)), examples[False].inputs, runs=options.runs)
    theirs = median_milliseconds(run, examples[False].inputs, runs=options.runs)
    LOGGER.info(
        "latency of 1, median of %d on %d threads: torch %.1f ms, %s %.1f ms",
        *(options.runs, torch.get_num_threads(), ours, options.to, theirs),
    )
    LOGGER.info("written: %s, %.1f MiB", options.out, options.out.stat().st_size / 2**20)
    return 0


if __name__ == "__main__":
    run_command(main)
