"""The temporal shifts of TSM (Lin et al., ICCV 2019, https://arxiv.org/abs/1811.08383)."""

import torch
from torch import nn
from torch.nn.functional import pad

NOT_IN_TIME = (0, 0) * 3  # padding of width, height, channels


class TemporalShift(nn.Module):
    """Moves 1 / `shift_div` of the channels one segment back in time and as many one ahead, zeros at the ends.

    (B * num_segments, C, H, W) -> the same shape: the first fold sees the next segment, the second the previous one.
    `num_segments` is set by the method before each call.
    """

    def __init__(self, *, num_segments: int, shift_div: int = 8) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.shift_div = shift_div

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        fold = x.shape[1] // self.shift_div
        if torch.compiler.is_exporting():
            return self._joined(x.unflatten(0, (-1, self.num_segments)), fold).flatten(0, 1)
        # The picture's own memory layout is kept: channels-last stays channels-last.
        out = torch.empty_like(x)
        shifted, clips = out.unflatten(0, (-1, self.num_segments)), x.unflatten(0, (-1, self.num_segments))
        shifted[:, :-1, :fold] = clips[:, 1:, :fold]
        shifted[:, -1, :fold] = 0
        shifted[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
        shifted[:, 0, fold : 2 * fold] = 0
        shifted[:, :, 2 * fold :] = clips[:, :, 2 * fold :]
        return out

    def _joined(self, clips: torch.Tensor, fold: int) -> torch.Tensor:
        """The same of (B, T, C, H, W) without writing in place, which other runtimes do slowly."""
        back, ahead, still = clips[:, :, :fold], clips[:, :, fold : 2 * fold], clips[:, :, 2 * fold :]
        return torch.cat([pad(back[:, 1:], (*NOT_IN_TIME, 0, 1)), pad(ahead[:, :-1], (*NOT_IN_TIME, 1, 0)), still], 2)


class UnidirectionalShift(TemporalShift):
    """Moves 1 / `shift_div` of the channels one segment ahead in time, zeros in the first: no look into the future.

    (B * num_segments, C, H, W) -> the same shape: the first fold sees the previous segment (section 4.2, online TSM).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        fold = x.shape[1] // self.shift_div
        if torch.compiler.is_exporting():
            return self._joined(x.unflatten(0, (-1, self.num_segments)), fold).flatten(0, 1)
        out = torch.empty_like(x)
        shifted, clips = out.unflatten(0, (-1, self.num_segments)), x.unflatten(0, (-1, self.num_segments))
        shifted[:, 1:, :fold] = clips[:, :-1, :fold]
        shifted[:, 0, :fold] = 0
        shifted[:, :, fold:] = clips[:, :, fold:]
        return out

    def _joined(self, clips: torch.Tensor, fold: int) -> torch.Tensor:
        return torch.cat([pad(clips[:, :-1, :fold], (*NOT_IN_TIME, 1, 0)), clips[:, :, fold:]], dim=2)


SHIFTS: dict[str, type[TemporalShift]] = {"bidirectional": TemporalShift, "unidirectional": UnidirectionalShift}
