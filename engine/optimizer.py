"""The optimiser over a method's parameter groups, and what surrounds its step: rate, clipping, precision."""

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from utils.errors import UserError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def build_optimizer(
    groups: list[dict[str, Any]], *, name: str, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    """SGD or AdamW over `groups` (params, name, lr_mult, weight_decay); the rate is set before each step."""
    if name == "ADAMW":
        return torch.optim.AdamW(groups, lr=0.0)
    assert name == "SGD", f"no optimiser {name!r}"
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group `rate` times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_mult"]


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> torch.Tensor:
    """Scale all gradients together to an L2 norm of at most `limit`; returns the norm before."""
    return nn.utils.clip_grad_norm_(parameters, limit)


def autocast_for(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """The context of the forward pass: bf16 on any device, fp16 on a GPU, nothing for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def build_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """The gradient scaler, at work for fp16 only; raises `UserError` where the device has no fp16 training."""
    if precision == "fp16" and device.type != "cuda":
        raise UserError(f"common.precision: got fp16, which needs a GPU; this rank runs on {device}: use bf16 or fp32")
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
