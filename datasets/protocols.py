"""Evaluation protocols: which clips and crops of a video are scored, and how their scores become the video's.

A protocol is a value with a name; the name is printed with every number and stored with every score file.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datasets import clip_sampling
from datasets.protocol_rules import PROTOCOLS as PROTOCOLS
from datasets.protocol_rules import ProtocolRule as ProtocolRule
from datasets.protocol_rules import find_rule, made_of
from utils.errors import UserError
from utils.transforms import CropBox, edge_crops, fixed_crops

CENTRE_SAMPLING = {"segments": "segments_centre", "clip": "clip", "image": "image"}


class ClipShape(NamedTuple):
    """What a method's clips are made of ("segments", "clip", "image"), their number, and for clips the `stride`.

    `frames_per_segment`: frames in a row at each chosen place.
    """

    sampling: str
    num_frames: int
    stride: int = 1
    frames_per_segment: int = 1


@dataclass(frozen=True)
class Protocol:
    """A rule with the config's numbers: ready to cut views.

    `num_frames` is the clip's length in segments (or frames, for SlowFast), `stride` the distance of SlowFast's
    frames; `size` the side of the crop and `resize` the short side of the frame before it, in pixels;
    `frames_per_segment` the frames in a row at each chosen place.
    """

    name: str
    sampling: str
    clips: int
    crops: int
    num_frames: int
    stride: int
    size: int
    resize: int
    average: str
    to_edges: bool = False
    frames_per_segment: int = 1

    def boxes(self, height: int, width: int) -> list[tuple[CropBox, bool]]:
        """The crops of a frame of `height` x `width`, each with whether it is mirrored."""
        if self.to_edges:
            return edge_crops(height, width, self.size)
        return fixed_crops(height, width, self.size, self.crops)

    @property
    def views(self) -> int:
        """Views of a video: crops of clips."""
        return self.clips * self.crops

    @property
    def pixels(self) -> int:
        """Pixels of a view, all its frames together."""
        return self.num_frames * self.frames_per_segment * self.size**2

    def clip_indices(self, num_frames: int) -> np.ndarray:
        """0-based frames of every clip of a video of `num_frames` frames, int64 (clips, T)."""
        starts = np.atleast_2d(self._starts(num_frames))
        assert len(starts) == self.clips, f"{self.name}: {len(starts)} clips, needs {self.clips}"
        if self.sampling in ("clip", "segment_middles", "image"):
            return starts
        return clip_sampling.expand(starts, frames_per_segment=self.frames_per_segment, num_frames=num_frames)

    def _starts(self, num_frames: int) -> np.ndarray:
        segments = {"num_segments": self.num_frames, "frames_per_segment": self.frames_per_segment}
        if self.sampling == "segments_centre":
            return clip_sampling.segments_centre(num_frames, **segments)
        if self.sampling == "segments_test":
            return clip_sampling.segments_test(num_frames, **segments)
        if self.sampling == "dense":
            return clip_sampling.dense_test(num_frames, **segments)
        if self.sampling == "twice":
            return clip_sampling.segments_twice(num_frames, **segments)
        if self.sampling == "segment_middles":
            return clip_sampling.segment_middles(num_frames, clip_frames=self.num_frames)
        if self.sampling == "image":
            return clip_sampling.image_centre(num_frames)
        clip = {"clip_frames": self.num_frames, "stride": self.stride}
        if self.clips == 1:
            return clip_sampling.clip_centre(num_frames, **clip)
        return clip_sampling.clip_test(num_frames, **clip, clips=self.clips)

    def describe(self) -> str:
        """One line: views, sizes, averaging."""
        clips = f"{self.clips} clip{'s' * (self.clips > 1)} of {self.num_frames}"
        crops = f"{self.crops} crop{'s' * (self.crops > 1)} of {self.size} from short side {self.resize}"
        return f"{self.name}: {clips} x {crops}, {self.average} averaged"


def protocol_for(name: str, *, sampling: str, num_frames: int, stride: int = 1, size: int, resize: int) -> Protocol:
    """The built-in protocol `name` for a method that samples by `sampling` ("segments", "clip", "image").

    `num_frames` are the segments or frames of the method's clip, `size` and `resize` the config's input_size and
    test_resize. Raises `UserError` for a name that is unknown or does not fit the method.
    """
    name, rule = find_rule(name, {})
    return protocol_of(name, rule, ClipShape(sampling, num_frames, stride), size=size, resize=resize)


def protocol_of(name: str, rule: ProtocolRule, shape: ClipShape, *, size: int, resize: int) -> Protocol:
    """`rule` with the numbers of a method and a config; `UserError` where it does not fit them."""
    needs = made_of(rule, shape.sampling)
    if needs != shape.sampling:
        raise UserError(
            f"protocol: got {name!r}, whose clips are made of {needs}, for a method that takes {shape.sampling}"
        )
    resize = rule.resize or resize
    size = rule.size or (resize if rule.full_resolution else size)
    if size > resize:
        raise UserError(f"protocol {name}: got crops of {size} from a short side of {resize}, needs at least {size}")
    return Protocol(
        name=name,
        sampling=rule.sampling or CENTRE_SAMPLING[shape.sampling],
        clips=rule.clips,
        crops=rule.crops,
        num_frames=rule.num_segments or shape.num_frames,
        stride=shape.stride,
        size=size,
        resize=resize,
        average=rule.average,
        to_edges=rule.to_edges,
        frames_per_segment=shape.frames_per_segment,
    )
