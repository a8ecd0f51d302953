"""Learning rates: pure functions of the iteration, so there is nothing to save and nothing to resume."""

import math
from dataclasses import dataclass

from utils.config_schema import LrSchedulerConfig


@dataclass(frozen=True)
class Schedule:
    """Linear from `base_lr` at iteration 0 to `warmup_lr` at iteration `warmup_steps`, then the shape `type`.

    COSINE and POLY fall to `min_lr` at `max_iter`; STEP multiplies by each of `lr_mults` from its `lr_steps` on.
    """

    type: str
    base_lr: float
    max_iter: int
    warmup_steps: int = 0
    warmup_lr: float | None = None
    min_lr: float = 0.0
    lr_steps: tuple[int, ...] = ()
    lr_mults: tuple[float, ...] = ()
    power: float = 1.0

    def rate(self, iteration: int) -> float:
        """The rate of the update at `iteration`, counted from 0."""
        start = self.base_lr if self.warmup_lr is None else self.warmup_lr
        if iteration < self.warmup_steps:
            return self.base_lr + (start - self.base_lr) * iteration / self.warmup_steps
        progress = (iteration - self.warmup_steps) / max(1, self.max_iter - self.warmup_steps)
        if self.type == "COSINE":
            return self.min_lr + (start - self.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))
        if self.type == "POLY":
            return self.min_lr + (start - self.min_lr) * (1 - progress) ** self.power
        assert self.type == "STEP", f"no schedule of type {self.type!r}"
        return start * math.prod(m for step, m in zip(self.lr_steps, self.lr_mults) if iteration >= step)


def build_schedule(scheduler: LrSchedulerConfig) -> Schedule:
    """The schedule of `common.lr_scheduler`."""
    return Schedule(
        type=scheduler.type,
        base_lr=scheduler.base_lr,
        max_iter=scheduler.max_iter,
        warmup_steps=scheduler.warmup_steps,
        warmup_lr=scheduler.warmup_lr,
        min_lr=scheduler.min_lr,
        lr_steps=tuple(scheduler.lr_steps),
        lr_mults=tuple(scheduler.lr_mults),
        power=scheduler.power,
    )
