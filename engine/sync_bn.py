"""Batch norm over groups of ranks: torch's own kernels on GPUs, a small differentiable all-reduce on CPUs."""

import logging
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.distributed import World
from methods.method import Method
from utils.errors import UserError

LOGGER = logging.getLogger("video_analysis")


class _AllReduce(torch.autograd.Function):
    """Sum over a group of ranks; the gradient of a sum over ranks is the sum of the gradients over them."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, group: Any) -> torch.Tensor:
        ctx.group = group
        total = values.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


class GroupBatchNorm(_BatchNorm):
    """Batch norm whose statistics are those of all samples of a group of ranks, weighted by their number.

    Input (N, C, ...) of any rank; N may differ between ranks. In evaluation mode a plain batch norm. Running
    variance is the unbiased one, as torch keeps it.
    """

    def __init__(self, norm: _BatchNorm, *, group: Any) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name, part in norm.named_children():
            self.add_module(name, part)
        first = next(iter(norm.state_dict().values()), torch.empty(0))
        self.to(device=first.device, dtype=first.dtype)
        self.load_state_dict(norm.state_dict())
        self.group = group
        for name, parameter in norm.named_parameters(recurse=False):
            getattr(self, name).requires_grad_(parameter.requires_grad)
        self.training = norm.training

    def _check_input_dim(self, input: torch.Tensor) -> None:
        assert input.dim() >= 2, f"batch norm got {input.dim()} dimensions, needs at least 2"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if not self.training:
            return super().forward(input)
        x = input if input.dtype == torch.float64 else input.float()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, self.num_features] + [1] * (x.dim() - 2)
        samples = x.new_tensor([x.numel() / x.shape[1]])
        total = _AllReduce.apply(torch.cat([x.sum(axes), samples]), self.group)
        count = total[-1].detach()
        mean = total[:-1] / count
        # In a second pass: the mean of squares less the squared mean would lose digits in float32.
        centred = x - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(axes), self.group) / count
        if self.track_running_stats:
            self._update(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            centred = centred * (scale * self.weight).view(shape) + self.bias.view(shape)
        else:
            centred = centred * scale.view(shape)
        return centred.to(input.dtype)

    def _update(self, mean: torch.Tensor, variance: torch.Tensor, count: torch.Tensor) -> None:
        assert self.running_mean is not None, "called without running statistics"
        assert self.running_var is not None, "called without running statistics"
        assert self.num_batches_tracked is not None, "called without a count of batches"
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), momentum)


def _group_of(rank: int, size: int, group_size: int) -> Any:
    """This rank's process group; every rank must make all of them, in the same order."""
    ours = None
    for first in range(0, size, group_size):
        group = dist.new_group(list(range(first, first + group_size)))
        if first <= rank < first + group_size:
            ours = group
    return ours


def synchronise_bn(method: nn.Module, *, world: World, bn_group_size: int = 1) -> None:
    """Let every batch norm of `method` share its statistics among groups of `bn_group_size` ranks, in place.

    A group larger than the world is the whole world, and the log says so; one that does not divide the world is a
    `UserError`. Keys of the state dict stay as they are.
    """
    if bn_group_size > world.size > 1:
        LOGGER.info("bn_group_size %d is more than the %d ranks: all of them share", bn_group_size, world.size)
    group_size = min(bn_group_size, world.size)
    if group_size == 1:
        return
    if world.size % group_size != 0:
        raise UserError(
            f"common.model.kwargs.bn_group_size: got {bn_group_size}, needs a divisor of the {world.size} ranks"
        )
    group = _group_of(world.rank, world.size, group_size)
    if world.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(method, group)
    else:
        _convert_children(method, group)
    _keep_parts(method)


def _keep_parts(method: nn.Module) -> None:
    """Let norms that were replaced run the parts that the old ones held: timm's hold the activation that follows."""
    for norm in method.modules():
        if isinstance(norm, (GroupBatchNorm, nn.SyncBatchNorm)) and next(norm.children(), None) is not None:
            norm.register_forward_hook(_run_parts)


def _run_parts(norm: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    for part in norm.children():
        output = part(output)
    return output


def _convert_children(module: nn.Module, group: Any) -> None:
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, GroupBatchNorm(child, group=group))
        else:
            _convert_children(child, group)


def settle_running_stats(method: Method, world: World, *, average: bool) -> None:
    """Give all ranks the same running statistics before they are used: their mean (`average`), or rank 0's."""
    if world.size == 1:
        return
    norms = [module for module in method.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    stats = [stat for norm in norms for stat in (norm.running_mean, norm.running_var) if stat is not None]
    if not stats:
        return
    flat = torch.cat([stat.flatten() for stat in stats])
    if average:
        dist.all_reduce(flat)
        flat /= world.size
    else:
        dist.broadcast(flat, src=0)
    for stat, settled in zip(stats, flat.split([stat.numel() for stat in stats])):
        stat.copy_(settled.view_as(stat))
