"""Class activation maps of one view: where each pathway of a method looks (Grad-CAM, Selvaraju et al., ICCV 2017)."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate

from anal_tools.predict import Predictor
from methods.clip_method import ClipMethod
from utils.device_transforms import normalise
from utils.errors import UserError


class PathwayMaps(NamedTuple):
    """What a pathway (`name`, empty where there is one) looks at.

    `frames` int64 (T,): its frames among the segments or frames of the view; `maps` float32 (T, H, W), 0 to 1 over
    the clip.
    """

    name: str
    frames: np.ndarray
    maps: np.ndarray


def activation_maps(
    predictor: Predictor, view: torch.Tensor, label: int | None = None
) -> tuple[list[PathwayMaps], int]:
    """Maps of a view uint8 (T, H, W, C), and the class that they are of: `label`, or the best one.

    A map is the positive part of the channels of the pathway's last feature maps, each weighed by how the class's score
    changes with it: per segment in image networks, over the whole clip in 3D ones. Maps of fewer times or of a smaller
    size are stretched; each pathway has its own scale.
    """
    scorer = predictor.scorer
    method = scorer.method
    modules = method.backbone.last_maps()  # type: ignore[operator]
    if not modules:
        raise UserError("activation maps: this network has tokens, no feature maps; needs one of convolutions")
    seen: list[torch.Tensor] = []
    hooks = [module.register_forward_hook(lambda _module, _inputs, output: seen.append(output)) for module in modules]
    try:
        logits = method(normalise(view[None], scorer.mean, scorer.std))[0]
    finally:
        for hook in hooks:
            hook.remove()
    chosen = int(logits.argmax()) if label is None else label
    gradients = torch.autograd.grad(logits[chosen], seen)
    times = len(view) // predictor.protocol.frames_per_segment
    pathways = method.pathway_frames(times) if isinstance(method, ClipMethod) else {"": torch.arange(times)}
    height, width = int(view.shape[1]), int(view.shape[2])
    found = [
        PathwayMaps(name, frames.numpy(), _stretch(_weighed(maps, gradient), (len(frames), height, width)))
        for (name, frames), maps, gradient in zip(pathways.items(), seen, gradients, strict=True)
    ]
    return found, chosen


def _weighed(maps: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Maps (T, C, h, w) or (1, C, T, h, w) and their gradient -> (T, h, w)."""
    if maps.ndim == 4:
        return (maps * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1).relu().detach()
    return (maps * gradient.mean(dim=(2, 3, 4), keepdim=True)).sum(dim=1)[0].relu().detach()


def _stretch(maps: torch.Tensor, size: tuple[int, int, int]) -> np.ndarray:
    """(t, h, w) -> float32 `size` (T, H, W), the largest 1."""
    large = interpolate(maps[None, None].float(), size, mode="trilinear", align_corners=False)[0, 0]
    return (large / large.amax().clamp(min=1e-12)).cpu().numpy()
