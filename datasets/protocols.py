"""Evaluation protocols: which clips and crops of a video are scored, and how their scores become the video's.

A protocol is a value with a name; the name is printed with every number and stored with every score file.
"""

import difflib
from dataclasses import dataclass

import numpy as np

from datasets import clip_sampling
from utils.errors import UserError
from utils.transforms import CropBox, edge_crops, fixed_crops


@dataclass(frozen=True)
class ProtocolRule:
    """What a protocol's name fixes; sizes and clip lengths come from the config.

    `sampling` names the rule for frames ("" : the method's own centre rule); `full_resolution` crops squares of the
    resized short side, else of the training crop's side; `average` is over the views: logits or probabilities;
    `to_edges`: three crops as PySlowFast cuts them, to the very edges, else by TSN's steps of fourths.
    """

    sampling: str
    clips: int
    crops: int
    full_resolution: bool
    average: str
    num_segments: int | None = None
    to_edges: bool = False


PROTOCOLS: dict[str, ProtocolRule] = {
    "center": ProtocolRule("", 1, 1, False, "logits"),
    "tsn-25x10": ProtocolRule("segments_test", 1, 10, False, "logits", num_segments=25),
    "tsm-8x10crop": ProtocolRule("segments_centre", 1, 10, False, "logits"),
    "tsm-dense-10x3": ProtocolRule("dense", clip_sampling.DENSE_CLIPS, 3, True, "logits"),
    "tsm-twice-3crop": ProtocolRule("twice", 2, 3, True, "logits"),
    "slowfast-10x3": ProtocolRule("clip", 10, 3, True, "probabilities", to_edges=True),
    "ssv2-1x3": ProtocolRule("segment_middles", 1, 3, True, "probabilities", to_edges=True),
    "image-10crop": ProtocolRule("image", 1, 10, False, "logits"),
}

CENTRE_SAMPLING = {"segments": "segments_centre", "clip": "clip", "image": "image"}


@dataclass(frozen=True)
class Protocol:
    """A rule with the config's numbers: ready to cut views.

    `num_frames` is the clip's length in segments (or frames, for SlowFast), `stride` the distance of SlowFast's
    frames; `size` the side of the crop and `resize` the short side of the frame before it, in pixels.
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

    def boxes(self, height: int, width: int) -> list[tuple[CropBox, bool]]:
        """The crops of a frame of `height` x `width`, each with whether it is mirrored."""
        if self.to_edges:
            return edge_crops(height, width, self.size)
        return fixed_crops(height, width, self.size, self.crops)

    def clip_indices(self, num_frames: int, frames_per_segment: int = 1) -> np.ndarray:
        """0-based frames of every clip of a video of `num_frames` frames, int64 (clips, T)."""
        starts = np.atleast_2d(self._starts(num_frames, frames_per_segment))
        assert len(starts) == self.clips, f"{self.name}: {len(starts)} clips, needs {self.clips}"
        if self.sampling in ("clip", "segment_middles", "image"):
            return starts
        return clip_sampling.expand(starts, frames_per_segment=frames_per_segment, num_frames=num_frames)

    def _starts(self, num_frames: int, frames_per_segment: int) -> np.ndarray:
        segments = {"num_segments": self.num_frames, "frames_per_segment": frames_per_segment}
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
    """The protocol `name` for a method that samples by `sampling` ("segments", "clip", "image").

    `num_frames` are the segments or frames of the method's clip, `size` and `resize` the config's input_size and
    test_resize. Raises `UserError` for a name that is unknown or does not fit the method.
    """
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UserError(f"protocol: got {name!r}, needs one of {', '.join(PROTOCOLS)}.{hint}")
    rule = PROTOCOLS[name]
    chosen = rule.sampling or CENTRE_SAMPLING[sampling]
    needs = {"clip": "clip", "segment_middles": "clip", "image": "image"}.get(chosen, "segments")
    if needs != sampling:
        raise UserError(f"protocol: got {name!r}, whose clips are made of {needs}, for a method that takes {sampling}")
    return Protocol(
        name=name,
        sampling=chosen,
        clips=rule.clips,
        crops=rule.crops,
        num_frames=rule.num_segments or num_frames,
        stride=stride,
        size=resize if rule.full_resolution else size,
        resize=resize,
        average=rule.average,
        to_edges=rule.to_edges,
    )
