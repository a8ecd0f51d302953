"""What all ranks do for a save: settle, refuse what is not finite, hand over to the writer, and hear how it went."""

import torch

from engine.checkpoint_writer import CheckpointWriter
from engine.distributed import raise_together, sum_over_ranks
from engine.log import LOGGER
from engine.run import Run
from engine.sync_bn import settle_running_stats
from methods.method import Method
from utils.errors import UserError


def settle(run: Run) -> None:
    """All ranks go on with the same running statistics, and so does the average of the weights."""
    settle_running_stats(run.method, run.world, average=bool(run.config.model.kwargs.get("bn_sync_stats", False)))
    run.share_statistics()


def save(run: Run, writer: CheckpointWriter, *, best: bool, last: bool = False) -> None:
    """Save on rank 0, after the save before has ended; `last`: return when this one is on disk, too.

    Raises `UserError` on all ranks for weights that are not finite (nothing is written then), and where a save failed
    and `finish_saves` says that this ends the run.
    """
    settle(run)
    _refuse_not_finite(run)
    window = dict(zip(run.window, sum_over_ranks(list(run.window.values()), run.world)))
    finish_saves(run, writer)
    if run.world.rank == 0:
        writer.start({**run.state(), "window": window}, best=best)
    if last or not run.config.save_in_background:
        finish_saves(run, writer, last=last)


def finish_saves(run: Run, writer: CheckpointWriter, *, last: bool = False) -> None:
    """Wait for the save in flight, on all ranks at the same step.

    One that failed raises `UserError` on all ranks; with `failed_save: continue` it is a warning, except for the
    `last` one of this start, which nothing would make up for.
    """
    lines = writer.wait()
    if last or run.config.failed_save == "stop":
        raise_together(tuple(f"{line}; mend that and start again" for line in lines), run.world)
    for line in lines:
        LOGGER.warning("%s; training goes on without it (failed_save: continue)", line)


def _refuse_not_finite(run: Run) -> None:
    if not _all_finite(run.method):
        raise UserError(
            f"iteration {run.iteration}: a parameter is not finite; no checkpoint was written, the last one stays: "
            "lower the rate (base_lr, warmup_lr) or set clip_gradient, and start again from it"
        )


def _all_finite(method: Method) -> bool:
    """A sum is finite only if all of its terms are; looking at each takes ten times as long, and is left to doubt."""
    tensors = [tensor for tensor in method.state_dict().values() if tensor.is_floating_point()]
    if torch.stack([tensor.sum() for tensor in tensors]).isfinite().all():
        return True
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
