import pytest
import torch

from methods.online_tsm import OnlineTSM
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS
from tests.deterministic_weights import fill, relative_difference, structured_clips
from utils.errors import UserError

# Shapes of TSM's own online MobileNetV2 at 224: 10 states.
MOBILENETV2_STATES = [(3, 56), *[(4, 28)] * 2, *[(8, 14)] * 3, *[(12, 14)] * 2, *[(20, 7)] * 2]


def tsm(backbone: str, **options: bool | str) -> TSM:
    method = TSM(IMAGE_NETWORKS[backbone](), num_class=5, num_segments=6, **{"shift": "unidirectional", **options})
    return fill(method, gain=2 if backbone == "mobilenetv2" else 1)


def one_by_one(online: OnlineTSM, clips: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, K) of the frames of clips (B, T, 3, H, W), each seen once."""
    state: tuple[torch.Tensor, ...] = ()
    logits = []
    for frame in clips.unbind(dim=1):
        scores, state = online(frame, *state)
        logits.append(scores)
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenetv2"])
def test_frames_one_by_one_give_the_logits_of_the_whole_clip(backbone: str) -> None:
    method, clips = tsm(backbone), structured_clips(clips=2, frames=6, side=64)
    with torch.inference_mode():
        whole, online = method(clips), one_by_one(OnlineTSM(method), clips)
        assert relative_difference(online.mean(dim=1), whole) <= 1e-6
        assert relative_difference(method(clips.flip(1)), whole) > 1e-3, (
            "time must matter for this test to say anything"
        )


def test_a_frames_logits_depend_on_nothing_that_comes_later() -> None:
    online, clips = OnlineTSM(tsm("mobilenetv2")), structured_clips(clips=1, frames=6, side=64)
    later = clips.clone()
    later[:, 4:] += 1
    with torch.inference_mode():
        one, other = one_by_one(online, clips), one_by_one(online, later)
    assert torch.equal(one[:, :4], other[:, :4])
    assert not torch.equal(one[:, 4:], other[:, 4:])


def test_the_states_of_mobilenetv2_have_the_published_shapes() -> None:
    with torch.inference_mode():
        _, state = OnlineTSM(tsm("mobilenetv2"))(torch.zeros(1, 3, 224, 224))
    assert [tuple(each.shape) for each in state] == [(1, channels, side, side) for channels, side in MOBILENETV2_STATES]


def test_the_method_itself_is_left_as_it_was() -> None:
    method, clips = tsm("mobilenetv2"), structured_clips(clips=1, frames=6, side=64)
    with torch.inference_mode():
        before = method(clips)
        OnlineTSM(method)(clips[:, 0])
        assert torch.equal(method(clips), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": "bidirectional"}, "got shift bidirectional, needs unidirectional"),
        ({"shift_place": "block"}, "got shift_place block, needs blockres"),
        (
            {"non_local": True, "temporal_pool": True},
            "got non_local True, needs False\n.*temporal_pool True, needs False",
        ),
        ({"consensus": "max"}, "got consensus Maximum, needs Average"),
    ],
)
def test_what_looks_into_the_future_is_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        OnlineTSM(tsm("resnet18", **options))


def test_a_method_without_shifts_is_refused() -> None:
    with pytest.raises(UserError, match=r"got a TSN, needs model\.type tsm"):
        OnlineTSM(TSN(IMAGE_NETWORKS["resnet18"](width=8), num_class=3))
