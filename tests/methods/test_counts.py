"""Parameters and multiply-adds, as published (semantics, section 11); counted without memory or arithmetic."""

import pytest
import torch

from engine.preflight import count_gflops, count_parameters
from methods.method import Method
from methods.slowfast import SlowFast
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS, SLOWFAST_NETWORKS

META = torch.device("meta")


def segments_method(method: type[TSN], backbone: str, *, num_class: int = 400) -> Method:
    with META:
        return method(IMAGE_NETWORKS[backbone](), num_class=num_class, num_segments=8)


def slowfast(*, alpha: int, fusion_kernel: int) -> Method:
    with META:
        network = SLOWFAST_NETWORKS["resnet50"](alpha=alpha, fusion_kernel=fusion_kernel)
        return SlowFast(network, num_class=400, alpha=alpha)


def gflops(method: Method, frames: int, side: int) -> float:
    return count_gflops(method, torch.empty(1, frames, 3, side, side, device=META))


@pytest.mark.parametrize("method", [TSN, TSM])
@pytest.mark.parametrize(
    ("backbone", "num_class", "parameters"),
    [("resnet50", 400, 24_327_632), ("resnet50", 174, 23_864_558), ("mobilenetv2", 400, 2_736_272)],
)
def test_parameters_of_tsn_and_tsm(method: type[TSN], backbone: str, num_class: int, parameters: int) -> None:
    assert count_parameters(segments_method(method, backbone, num_class=num_class)) == parameters


@pytest.mark.parametrize(("alpha", "fusion_kernel", "parameters"), [(8, 5, 34_480_216), (4, 7, 34_566_488)])
def test_parameters_of_slowfast(alpha: int, fusion_kernel: int, parameters: int) -> None:
    assert count_parameters(slowfast(alpha=alpha, fusion_kernel=fusion_kernel)) == parameters


@pytest.mark.parametrize(
    ("method", "frames", "side", "published"),
    [(TSN, 1, 224, 4.088), (TSN, 8, 224, 32.7), (TSN, 25, 224, 102.2), (TSN, 8, 256, 42.7), (TSM, 8, 224, 32.7),
     (TSM, 16, 224, 65.4)],
)  # fmt: skip
def test_gflops_of_resnet50(method: type[TSN], frames: int, side: int, published: float) -> None:
    digits = 3 if published < 5 else 1
    assert round(gflops(segments_method(method, "resnet50"), frames, side), digits) == published


@pytest.mark.parametrize(("side", "published"), [(224, 2.40), (256, 3.13)])
def test_gflops_of_tsm_mobilenet(side: int, published: float) -> None:
    assert round(gflops(segments_method(TSM, "mobilenetv2"), 8, side), 2) == published


@pytest.mark.parametrize(
    ("alpha", "fusion_kernel", "side", "published"),
    [(8, 5, 224, 27.64), (8, 5, 256, 36.10), (4, 7, 224, 50.31), (4, 7, 256, 65.71)],
)
def test_gflops_of_slowfast(alpha: int, fusion_kernel: int, side: int, published: float) -> None:
    assert round(gflops(slowfast(alpha=alpha, fusion_kernel=fusion_kernel), 32, side), 2) == published


def test_counting_leaves_the_mode_as_it_was() -> None:
    method = segments_method(TSN, "resnet18")
    for mode in (True, False):
        gflops(method.train(mode), 1, 64)
        assert method.training is mode
        assert method.backbone.training is mode
