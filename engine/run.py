"""Everything that a run is made of, built from the config once and then passed as one value."""

import copy
import inspect
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engine.distributed import World
from engine.narrow_convolutions import can_meet_the_fault, guard_narrow_convolutions
from engine.optimizer import build_optimizer, build_scaler
from engine.schedules import Schedule, build_schedule
from engine.sync_bn import synchronise_bn
from methods.method import Method
from methods.parameter_groups import parameter_groups
from utils.config_schema import Config
from utils.device_transforms import DeviceTransform


@dataclass
class Run:
    """One training run: what learns, what it is stepped by, and how far it is.

    `method` holds the parameters; `model` is what is called (the method, wrapped for several ranks and compiled).
    `iteration` counts finished iterations, `evaluated` the iteration of the last finished evaluation.
    """

    config: Config
    world: World
    method: Method
    model: nn.Module
    transform: DeviceTransform
    schedule: Schedule
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None
    iteration: int = 0
    evaluated: int = 0
    best_metric: float = -1.0
    best_iteration: int = 0
    gradient_norm: float = 0.0
    window: dict[str, float] = field(default_factory=dict)

    @property
    def scored(self) -> Method:
        """What evaluation looks at: the averaged weights where there are any, else the method."""
        return self.method if self.ema is None else cast(Method, self.ema.module)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain values."""
        return {
            "model": self.method.state_dict(),
            "optimizer": self._optimizer_state(),
            "scaler": self.scaler.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "iteration": self.iteration,
            "evaluated": self.evaluated,
            "best_metric": self.best_metric,
            "best_iteration": self.best_iteration,
            "window": dict(self.window),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up `state`, as `state()` gave it; the average of the weights starts from them where it is new."""
        self.method.load_state_dict(state["model"])
        self._restore_optimizer(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            if state["ema"] is None:
                self.ema.module.load_state_dict(state["model"])
            else:
                self.ema.load_state_dict(state["ema"])
        self.iteration, self.evaluated = state["iteration"], state["evaluated"]
        self.best_metric, self.best_iteration = state["best_metric"], state["best_iteration"]
        # The saved sums are those of all ranks: one of them goes on from there.
        self.window = {name: value if self.world.rank == 0 else 0.0 for name, value in state["window"].items()}

    def share_statistics(self) -> None:
        """Give the averaged weights the latest buffers: running statistics are averages already."""
        if self.ema is not None:
            for ours, theirs in zip(self.ema.module.buffers(), self.method.buffers()):
                ours.copy_(theirs)

    def _names(self) -> list[str]:
        """Names of the optimiser's parameters in the order of its groups."""
        names = {id(parameter): name for name, parameter in self.method.named_parameters()}
        return [names[id(parameter)] for group in self.optimizer.param_groups for parameter in group["params"]]

    def _optimizer_state(self) -> dict[str, Any]:
        """Momenta by parameter name: settings and the order of groups may change at a restart."""
        state = self.optimizer.state_dict()["state"]
        return {name: state[number] for number, name in enumerate(self._names()) if number in state}

    def _restore_optimizer(self, saved: dict[str, Any]) -> None:
        groups = self.optimizer.state_dict()["param_groups"]
        state = {number: saved[name] for number, name in enumerate(self._names()) if name in saved}
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def normalisation(config: Config, method: Method) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mean and std per channel on a scale of 0 to 1: the config's, else what the method was published with."""
    augmentation = config.augmentation
    return tuple(augmentation.mean or method.mean), tuple(augmentation.std or method.std)


def build_transform(config: Config, method: Method) -> DeviceTransform:
    """The augmentation that happens on the device."""
    mean, std = normalisation(config, method)
    augmentation = config.augmentation
    return DeviceTransform(
        mean=mean,
        std=std,
        colorjitter=augmentation.colorjitter,
        random_erasing=augmentation.random_erasing,
        mix_up=augmentation.mix_up,
        num_class=config.model.num_class,
        label_smooth=config.label_smooth,
        seed=config.seed,
    )


def place(method: Method, config: Config, world: World) -> Method:
    """Move a built method to this rank's device, convolution weights channels-last where asked, BN synchronised."""
    synchronise_bn(method, world=world, bn_group_size=config.model.kwargs.get("bn_group_size", 1))
    method = method.to(world.device)
    guard_narrow_convolutions(method)
    if config.channels_last:
        _channels_last(method)
    return method


def _channels_last(method: Method) -> None:
    for module in method.modules():
        if isinstance(module, nn.Conv2d) and not can_meet_the_fault(module):
            module.to(memory_format=torch.channels_last)
        elif isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)


def _no_buffer_exchange() -> dict[str, Any]:
    """Running statistics are settled before they are used, not at every step; torch 2.15 renamed the option."""
    known = inspect.signature(DistributedDataParallel).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}


def _average_of(method: Method, decay: float) -> AveragedModel:
    """The moving average of the weights, on a copy of the method; process groups have no copies and are shared."""
    groups = [getattr(module, name, None) for module in method.modules() for name in ("group", "process_group")]
    average = AveragedModel(nn.Identity(), multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)
    average.module = copy.deepcopy(method, {id(group): group for group in groups if group is not None})
    return average


def build_run(config: Config, method: Method, world: World) -> Run:
    """The run of `config` with a placed `method`, at iteration 0."""
    method.train()  # partial BN freezes its parameters here, before anything lists them
    groups = parameter_groups(
        method, policy=config.parameter_policy, no_wd=config.no_wd, weight_decay=config.weight_decay
    )
    model: nn.Module = torch.compile(method) if config.compile else method  # type: ignore[assignment]
    if world.size > 1:
        devices = [world.device] if world.device.type == "cuda" else None
        model = DistributedDataParallel(
            model, device_ids=devices, gradient_as_bucket_view=True, **_no_buffer_exchange()
        )
    return Run(
        config=config,
        world=world,
        method=method,
        model=model,
        transform=build_transform(config, method),
        schedule=build_schedule(config.lr_scheduler),
        optimizer=build_optimizer(groups, name=config.optimizer, momentum=config.momentum, nesterov=config.nesterov),
        scaler=build_scaler(config.precision, world.device),
        ema=None if config.ema is None else _average_of(method, config.ema),
    )
