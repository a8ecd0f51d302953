"""A batch whose loss or gradient was not finite: kept in results/, looked at by `main.py --replay FILE`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from datasets.loaders import Batch
from engine.distributed import World
from engine.log import LOGGER
from engine.optimizer import autocast_for
from engine.run import Run, build_transform
from engine.weights import build_placed
from utils.config_schema import Config
from utils.errors import UserError
from utils.loss import cross_entropy
from utils.random_streams import torch_seed

NEEDED = ("iteration", "rank", "batches", "model", "videos")


def keep_for_replay(run: Run, batches: Sequence[Batch], results: Path) -> Path:
    """Write this rank's `batches` of the iteration just tried, and the weights it met, into `results`."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"not_finite_iteration_{run.iteration}_rank_{run.world.rank}.pt"
    state = {
        "iteration": run.iteration,
        "rank": run.world.rank,
        "batches": [{**batch._asdict(), "broken": list(batch.broken)} for batch in batches],
        "model": run.method.state_dict(),
        "videos": run.config.train_source,
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    torch.save(state, temporary)
    temporary.replace(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds
        first = str(error).split("\n", 1)[0]
        raise UserError(f"--replay: {path}: can't be read ({first}); give a file of results/not_finite_*.pt") from error
    if not isinstance(state, dict) or any(key not in state for key in NEEDED):
        raise UserError(f"--replay: {path}: not a batch kept for replay; give a file of results/not_finite_*.pt")
    return state


def _first_not_finite(method: nn.Module) -> tuple[list[str], list[Any]]:
    """Names of modules, filled during the forward pass, whose output is not finite; and the hooks that find them."""
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and not output.isfinite().all():
                found.append(name)

        return hook

    leaves = [(name, module) for name, module in method.named_modules() if not list(module.children())]
    return found, [module.register_forward_hook(look(name)) for name, module in leaves]


def replay(config: Config, path: Path, world: World) -> int:
    """Try a kept batch again, in training mode and with the weights it met; log where it stops being finite.

    Writes nothing; returns 0 where loss and gradients are finite now (with other settings, say), else 1.
    """
    state = _read(path)
    method = build_placed(config, world, initialise=False)
    try:
        method.load_state_dict(state["model"])
    except RuntimeError as error:
        raise UserError(f"--replay: {path} belongs to another config: {str(error).split(chr(10), 1)[0]}") from error
    method.train()
    transform = build_transform(config, method)
    torch.manual_seed(torch_seed(config.seed, "dropout", state["iteration"] - 1, state["rank"]))
    spoilt = [name for name, parameter in method.named_parameters() if not parameter.isfinite().all()]
    found, hooks = _first_not_finite(method)
    finite = True
    for batch in state["batches"]:
        clips, targets = transform(batch["frames"].to(world.device), batch["label"].to(world.device), batch["position"])
        with autocast_for(config.precision, world.device):
            logits = method(clips)
        for row, video in enumerate(batch["video_index"].tolist()):
            loss = cross_entropy(logits[row : row + 1].float(), targets[row : row + 1])
            LOGGER.info("%s:%d: loss %g", state["videos"], video + 1, loss.item())
        loss = cross_entropy(logits.float(), targets)
        loss.backward()
        finite = finite and bool(loss.isfinite())
    for hook in hooks:
        hook.remove()
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    broken = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    _report(iteration=state["iteration"], parameters=spoilt, outputs=found, gradients=broken)
    return 0 if finite and not broken else 1


def _report(*, iteration: int, **found: list[str]) -> None:
    for what, names in found.items():
        first = f"{len(names)} not finite, the first: {names[0]}" if names else "all finite"
        LOGGER.info("iteration %d, %s: %s", iteration, what, first)
