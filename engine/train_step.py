"""One iteration: forward, backward, update."""

import contextlib
import math
from collections.abc import Sequence

import torch
from torch.nn.parallel import DistributedDataParallel

from datasets.loaders import Batch
from engine.optimizer import autocast_for, clip_gradients, set_learning_rate
from engine.run import Run
from utils.loss import cross_entropy
from utils.random_streams import torch_seed


def train_step(run: Run, batches: Sequence[Batch]) -> dict[str, float]:
    """Train on `batches` (their gradients averaged) and return this rank's loss and accuracies.

    loss is the mean cross entropy; top1 and top5 are percent of clips, against the larger part of a mixed label.
    `run.iteration` is left as it is: the caller counts the iteration as finished. Where the loss or the gradient is
    not finite (`is_finite` says so), the weights stay as they were.
    """
    set_learning_rate(run.optimizer, run.schedule.rate(run.iteration))
    # Dropout: a function of (seed, iteration, rank) like every other random number, so nothing need be saved.
    torch.manual_seed(torch_seed(run.config.seed, "dropout", run.iteration, run.world.rank))
    totals = [_accumulate(run, batch, len(batches), last=batch is batches[-1]) for batch in batches]
    if run.config.clip_gradient is not None:
        run.scaler.unscale_(run.optimizer)
        clip_gradients(run.method.parameters(), run.config.clip_gradient)
    measured = torch.cat([torch.stack(totals).mean(dim=0), _gradient_norm(run)[None]])
    loss, top1, top5, run.gradient_norm = measured.tolist()
    metrics = {"loss": loss, "top1": top1, "top5": top5}
    if is_finite(run, metrics):
        run.scaler.step(run.optimizer)
        run.scaler.update()
        if run.ema is not None:
            run.ema.update_parameters(run.method)
            run.share_statistics()
    run.optimizer.zero_grad(set_to_none=True)
    return metrics


def settle_buckets(run: Run, batch: Batch) -> None:
    """Let DDP lay out its buckets before a start's first step, by a backward pass on `batch` that changes nothing.

    DDP does so once, in the order in which gradients come. Else the first step of each start would have another layout
    than later ones, and sums over four ranks round by place: a run gone on would not be bitwise the unbroken one.
    """
    if not isinstance(run.model, DistributedDataParallel):
        return
    before = [(buffer, buffer.clone()) for buffer in run.method.buffers()]
    _accumulate(run, batch, 1, last=True)
    run.optimizer.zero_grad(set_to_none=True)
    for buffer, values in before:
        buffer.copy_(values)


def _gradient_norm(run: Run) -> torch.Tensor:
    """L2 norm of all gradients together; what fp16's scaler has multiplied them by included."""
    gradients = [parameter.grad for parameter in run.method.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).float()


def is_finite(run: Run, metrics: dict[str, float]) -> bool:
    """Whether the step just tried gave finite numbers; fp16's scaler looks after gradients by itself."""
    return math.isfinite(metrics["loss"]) and (run.scaler.is_enabled() or math.isfinite(run.gradient_norm))


def _accumulate(run: Run, batch: Batch, parts: int, *, last: bool) -> torch.Tensor:
    """Add one batch's gradients, 1/`parts` of them; returns (loss, top1, top5) on the device."""
    device = run.world.device
    frames = batch.frames.to(device, non_blocking=True)
    labels = batch.label.to(device, non_blocking=True)
    clips, targets = run.transform(frames, labels, batch.position)
    model = run.model
    waits = not last  # for the last batch's gradients, before ranks exchange them
    with model.no_sync() if waits and isinstance(model, DistributedDataParallel) else contextlib.nullcontext():
        with autocast_for(run.config.precision, device):
            logits = model(clips)
        loss = cross_entropy(logits.float(), targets)
        run.scaler.scale(loss / parts).backward()
    return torch.stack([loss.detach(), *accuracies(logits.detach(), targets)])


def accuracies(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """top-1 and top-5 in percent, of logits (B, K) against the larger part of soft targets (B, K)."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = best == targets.argmax(dim=1, keepdim=True)
    return 100.0 * hits[:, 0].float().mean(), 100.0 * hits.any(dim=1).float().mean()
