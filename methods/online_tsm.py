"""Online TSM (Lin et al., ICCV 2019, section 4.2, https://arxiv.org/abs/1811.08383): a video scored frame by frame.

    online = OnlineTSM(tsm)                     # a TSM trained with `shift: unidirectional`
    logits, state = online(frame)               # float (B, 3, H, W), the first one
    logits, state = online(frame, *state)       # and each one after it

The mean of the frames' logits is what the TSM gives for the frames as one clip.
"""

import copy

import torch
from torch import nn

from methods.consensus import Average
from methods.temporal_shift import UnidirectionalShift
from methods.tsm import TSM
from utils.errors import UserError


class FrameState:
    """What one frame leaves to the next: of each shift, in the order in which they run, the channels that move."""

    def __init__(self) -> None:
        self.past: list[torch.Tensor] = []
        self.present: list[torch.Tensor] = []

    def exchange(self, moving: torch.Tensor) -> torch.Tensor:
        """Keep the channels of this frame, give those of the one before; zeros at the first."""
        place = len(self.present)
        self.present.append(moving)
        return self.past[place] if self.past else torch.zeros_like(moving)


class CachedShift(nn.Module):
    """One frame's (B, C, H, W): the first 1 / `shift_div` of the channels come from the frame before."""

    def __init__(self, state: FrameState, *, shift_div: int) -> None:
        super().__init__()
        self.state = state
        self.shift_div = shift_div

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        fold = x.shape[1] // self.shift_div
        return torch.cat([self.state.exchange(x[:, :fold]), x[:, fold:]], dim=1)


class OnlineTSM(nn.Module):
    """A frame (B, C, H, W) and the state after the one before -> logits (B, num_class) and the state after it.

    A copy of `method` in evaluation mode. Raises `UserError` if `method` looks into the future or joins the frames'
    scores in another way than by averaging.
    """

    def __init__(self, method: TSM) -> None:
        super().__init__()
        _check(method)
        method = copy.deepcopy(method)
        self.state = FrameState()
        for module in list(method.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, UnidirectionalShift):
                    setattr(module, name, CachedShift(self.state, shift_div=child.shift_div))
        self.backbone, self.classifier = method.backbone, method.classifier
        self.eval()

    def forward(self, frames: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """See the class; without a state the frame is a video's first."""
        self.state.past, self.state.present = list(state), []
        logits = self.classifier(self.backbone(frames))
        assert len(state) in (0, len(self.state.present)), (
            f"{len(state)} tensors of state for {len(self.state.present)}"
        )
        return logits, tuple(self.state.present)


def _check(method: TSM) -> None:
    if not isinstance(method, TSM):
        raise UserError(f"online TSM: got a {type(method).__name__}, needs model.type tsm")
    needed = {
        "shift": (method.shift, "unidirectional"),
        "shift_place": (method.shift_place, "blockres"),
        "non_local": (method.non_local, False),
        "temporal_pool": (method.temporal_pool, False),
        "consensus": (type(method.consensus).__name__, Average.__name__),
        "modality": (method.modality, "RGB"),
    }
    wrong = [f"{name} {got}, needs {needs}" for name, (got, needs) in needed.items() if got != needs]
    if wrong:
        raise UserError(*(f"online TSM: got {line}" for line in wrong))
