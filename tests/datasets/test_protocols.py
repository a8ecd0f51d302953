"""Protocols: the views that a name stands for, and names that do not fit."""

import numpy as np
import pytest

from datasets.clip_sampling import dense_test, segments_twice
from datasets.protocol_rules import ALIASES, find_rule, own_mistakes
from datasets.protocols import PROTOCOLS, ClipShape, Protocol, protocol_for, protocol_of
from utils.errors import UserError

# name: method's sampling, views, frames of a clip, side of the crop, what is averaged
EXPECTED = {
    "center": ("segments", 1, 8, 224, "logits"),
    "tsn-25x10": ("segments", 10, 25, 224, "logits"),
    "tsm-8x10crop": ("segments", 10, 8, 224, "logits"),
    "tsm-dense-10x3": ("segments", 30, 8, 256, "logits"),
    "tsm-twice-3crop": ("segments", 6, 8, 256, "logits"),
    "slowfast-10x3": ("clip", 30, 8, 256, "probabilities"),
    "ssv2-1x3": ("clip", 3, 8, 256, "probabilities"),
    "image-10crop": ("image", 10, 1, 224, "logits"),
}


def protocol(
    name: str, sampling: str = "segments", num_frames: int = 8, stride: int = 2, frames_per_segment: int = 1
) -> Protocol:
    name, rule = find_rule(name, {})
    shape = ClipShape(sampling, num_frames, stride, frames_per_segment)
    return protocol_of(name, rule, shape, size=224, resize=256)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_name_stands_for_its_published_views(name: str) -> None:
    sampling, views, frames, side, average = EXPECTED[name]
    chosen = protocol(name, sampling, num_frames=1 if sampling == "image" else 8)
    assert chosen.clips * chosen.crops == views
    assert chosen.num_frames == frames
    assert (chosen.size, chosen.resize, chosen.average) == (side, 256, average)
    for num_frames in (1, 7, 100, 300):
        clips = chosen.clip_indices(num_frames)
        assert clips.shape == (chosen.clips, frames)
        assert clips.dtype == np.int64
        assert clips.min() >= 0
        assert clips.max() < num_frames


def test_clips_follow_the_published_formulas() -> None:
    assert protocol("center").clip_indices(100).tolist() == [[6, 18, 31, 43, 56, 68, 81, 93]]
    assert protocol("tsm-8x10crop").clip_indices(8).tolist() == [[0] * 8]
    assert protocol("tsn-25x10").clip_indices(100).tolist() == [list(range(2, 100, 4))]
    assert protocol("tsm-dense-10x3").clip_indices(300).tolist() == dense_test(300, num_segments=8).tolist()
    assert protocol("tsm-twice-3crop").clip_indices(100).tolist() == segments_twice(100, num_segments=8).tolist()
    slowfast = protocol("slowfast-10x3", "clip", num_frames=32).clip_indices(300)
    assert slowfast[:, 0].tolist() == [0, 23, 47, 70, 94, 118, 141, 165, 188, 212]
    something = protocol("ssv2-1x3", "clip").clip_indices(33)
    assert something.tolist() == [[2, 6, 10, 14, 18, 22, 26, 30]]


def test_the_centre_is_the_methods_own() -> None:
    assert protocol("center", "clip", num_frames=4).clip_indices(12).tolist() == [[2, 4, 6, 9]]
    assert protocol("center", "image", num_frames=1).clip_indices(12).tolist() == [[6]]


def test_segments_of_several_frames_are_consecutive_in_every_clip() -> None:
    clips = protocol("tsm-twice-3crop", num_frames=2, frames_per_segment=5).clip_indices(20)
    # 16 starts in 2 parts of 8: middles 4 and 12, beginnings 0 and 8
    assert clips.tolist() == [[4, 5, 6, 7, 8, 12, 13, 14, 15, 16], [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]]
    short = protocol("tsm-dense-10x3", num_frames=2, frames_per_segment=5).clip_indices(3)
    assert short.tolist() == [[0, 1, 2, 2, 2, 2, 2, 2, 2, 2]] * 10


def test_three_crops_reach_the_edges_where_pyslowfast_cut_them() -> None:
    def offsets(name: str, sampling: str, height: int, width: int) -> list[tuple[int, int]]:
        return [(box.top, box.left) for box, _ in protocol(name, sampling).boxes(height, width)]

    assert offsets("slowfast-10x3", "clip", 256, 341) == [(0, 0), (0, 43), (0, 85)]
    assert offsets("slowfast-10x3", "clip", 341, 256) == [(0, 0), (43, 0), (85, 0)]
    assert offsets("ssv2-1x3", "clip", 256, 256) == [(0, 0)] * 3
    assert offsets("tsm-dense-10x3", "segments", 256, 341) == [(0, 0), (0, 84), (0, 42)]
    with pytest.raises(ValueError, match="does not fit"):
        protocol("slowfast-10x3", "clip").boxes(200, 341)


def test_a_protocol_describes_itself_in_one_line() -> None:
    dense = "tsm-dense-10x3: 10 clips of 8 x 3 crops of 256 from short side 256, logits averaged"
    assert protocol("tsm-dense-10x3").describe() == dense
    assert protocol("center").describe() == "center: 1 clip of 8 x 1 crop of 224 from short side 256, logits averaged"


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(UserError, match=r"got 'tsm-dense-10x1', needs one of center, .* Did you mean 'tsm-dense-10x3'"):
        protocol("tsm-dense-10x1")
    with pytest.raises(UserError, match=r"got 'qqq', needs one of center, .*image-10crop\.$"):
        protocol("qqq")


@pytest.mark.parametrize(
    ("name", "sampling", "made_of"),
    [
        ("slowfast-10x3", "segments", "clip"),
        ("ssv2-1x3", "segments", "clip"),
        ("tsn-25x10", "clip", "segments"),
        ("tsm-dense-10x3", "image", "segments"),
        ("image-10crop", "segments", "image"),
    ],
)
def test_a_protocol_of_another_method_is_refused(name: str, sampling: str, made_of: str) -> None:
    with pytest.raises(UserError, match=rf"got '{name}', whose clips are made of {made_of}, .* takes {sampling}$"):
        protocol(name, sampling)


def test_the_names_of_the_tsm_paper_stand_for_ours() -> None:
    assert [find_rule(alias, {})[0] for alias in ALIASES] == ["center", "tsm-twice-3crop"]
    chosen = protocol_for("accurate", sampling="segments", num_frames=8, size=224, resize=256)
    assert (chosen.name, chosen.views, chosen.pixels) == ("tsm-twice-3crop", 6, 8 * 256**2)


def test_a_config_adds_protocols_of_its_own() -> None:
    own = {"small": {"sampling": "twice", "clips": 2, "crops": 5, "size": 112, "resize": 128}, "plain": {}}
    assert own_mistakes(own) == []
    shape = ClipShape("segments", 8)
    small, plain = (protocol_of(*find_rule(name, own), shape, size=224, resize=256) for name in own)
    assert small.describe() == "small: 2 clips of 8 x 5 crops of 112 from short side 128, logits averaged"
    assert plain.describe() == "plain: 1 clip of 8 x 1 crop of 224 from short side 256, logits averaged"
    assert protocol_of(*find_rule("plain", own), ClipShape("clip", 32, 2), size=224, resize=256).sampling == "clip"
    with pytest.raises(UserError, match="crops of 300 from a short side of 256"):
        protocol_of(*find_rule("p", {"p": {"size": 300}}), shape, size=224, resize=256)


@pytest.mark.parametrize(
    ("own", "path", "message"),
    [
        ({"center": {}}, "protocols.center", "is taken"),
        ({"a,b": {}}, "protocols.a,b", "holds a comma"),
        ({"p": 3}, "protocols.p", "got 3, needs keys below it: sampling, "),
        ({"p": {"crop": 3}}, "protocols.p.crop", "no such key. Did you mean 'crops'?"),
        ({"p": {"crops": 4}}, "protocols.p.crops", "got 4, needs one of 1, 3, 5, 10"),
        ({"p": {"crops": True}}, "protocols.p.crops", "got True, needs one of"),
        ({"p": {"size": 0}}, "protocols.p.size", "got 0, needs a number of at least 1"),
        ({"p": {"clips": 3}}, "protocols.p.clips", "got 3, needs 1: that many does sampling the method's centre"),
        ({"p": {"sampling": "dense"}}, "protocols.p.clips", "got 1, needs 10"),
        ({"p": {"sampling": "clip", "num_segments": 8}}, "protocols.p.num_segments", "clip has no segments"),
        ({"p": {"to_edges": True}}, "protocols.p.to_edges", "needs crops: 3"),
        ({"p": {"full_resolution": True, "size": 9}}, "protocols.p.size", "remove one of them"),
    ],
)
def test_a_faulty_protocol_is_named_by_its_key(own: dict, path: str, message: str) -> None:
    (mistake,) = own_mistakes(own)
    assert mistake.path == path
    assert message in mistake.message
