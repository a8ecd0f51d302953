"""Logits against those that the papers' own code gave for the same deterministic weights (../shared/parity).

The renaming here covers just these fixtures; importing foreign checkpoints is a feature of its own.
"""

import importlib.util
import re
from types import ModuleType

import pytest
import torch
from torch import nn

from methods.slowfast import SlowFast
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS, SLOWFAST_NETWORKS
from tests.shared_material import SHARED, needs_shared

TOLERANCE = 1e-5  # largest difference / largest logit


def _parity_lib() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_lib", SHARED / "parity" / "parity_lib.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_official(key: str) -> str:
    key = key.replace(".net.", ".").replace("new_fc.", "classifier.")
    if match := re.match(r"(base_model\.features\.(\d+)\.conv)\.(\d)\.(.*)", key):
        # One flat list there, (convolution, norm, ReLU) in threes here; the last two stand alone.
        last = 3 if match[2] == "1" else 6
        part, offset = divmod(int(match[3]), 3)
        key = f"{match[1]}.{part + offset if int(match[3]) >= last else f'{part}.{offset}'}.{match[4]}"
    return re.sub(r"^base_model\.", "backbone.", key)


def _slowfast_block(pathway: int, stage: int, block: int, rest: str) -> str:
    rest = rest.replace("branch1_bn", "downsample.1").replace("branch1", "downsample.0")
    for number, letter in enumerate("abc", start=1):
        rest = rest.replace(f"branch2.{letter}_bn", f"bn{number}").replace(f"branch2.{letter}", f"conv{number}")
    return f"backbone.{'slow' if pathway == 0 else 'fast'}_stages.{stage}.{block}.{rest}"


def _from_pyslowfast(key: str) -> str:
    if match := re.match(r"s1\.pathway(\d)_stem\.(conv|bn)\.(.*)", key):
        return f"backbone.{('slow', 'fast')[int(match[1])]}_stem.{('conv', 'bn').index(match[2])}.{match[3]}"
    if match := re.match(r"s(\d)_fuse\.(conv_f2s|bn)\.(.*)", key):
        return f"backbone.laterals.{int(match[1]) - 1}.{match[2].replace('conv_f2s', 'conv')}.{match[3]}"
    if match := re.match(r"s(\d)\.pathway(\d)_res(\d+)\.(.*)", key):
        return _slowfast_block(int(match[2]), int(match[1]) - 2, int(match[3]), match[4])
    return key.replace("head.projection", "classifier")


def _from_pytorchvideo(key: str) -> str:
    if match := re.match(r"blocks\.0\.multipathway_blocks\.(\d)\.(conv|norm)\.(.*)", key):
        return f"backbone.{('slow', 'fast')[int(match[1])]}_stem.{('conv', 'norm').index(match[2])}.{match[3]}"
    if match := re.match(r"blocks\.(\d)\.multipathway_fusion\.(conv_fast_to_slow|norm)\.(.*)", key):
        part = "conv" if match[2].startswith("conv") else "bn"
        return f"backbone.laterals.{match[1]}.{part}.{match[3]}"
    if match := re.match(r"blocks\.(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.(.*)", key):
        rest = match[4].replace("branch1_norm", "branch1_bn").replace("branch1_conv", "branch1")
        rest = re.sub(r"branch2\.norm_([abc])", r"branch2.\1_bn", re.sub(r"branch2\.conv_([abc])", r"branch2.\1", rest))
        return _slowfast_block(int(match[2]), int(match[1]) - 1, int(match[3]), rest)
    return re.sub(r"^blocks\.6\.proj", "classifier", key)


def _two_d(backbone: str, method: type[nn.Module]) -> nn.Module:
    return method(IMAGE_NETWORKS[backbone](), num_class=400, num_segments=8)


def _slowfast(*, alpha: int, fusion_kernel: int) -> nn.Module:
    network = SLOWFAST_NETWORKS["resnet50"](alpha=alpha, fusion_kernel=fusion_kernel)
    return SlowFast(network, num_class=400, alpha=alpha)


CASES = {
    "official_tsn_resnet50_8seg_112": (lambda: _two_d("resnet50", TSN), _from_official),
    "official_tsm_resnet50_8seg_112": (lambda: _two_d("resnet50", TSM), _from_official),
    "official_tsm_mobilenetv2_8seg_112_he": (lambda: _two_d("mobilenetv2", TSM), _from_official),
    "pyslowfast_slowfast_4x16_r50_112": (lambda: _slowfast(alpha=8, fusion_kernel=5), _from_pyslowfast),
    "pytorchvideo_slowfast_r50_224": (lambda: _slowfast(alpha=4, fusion_kernel=7), _from_pytorchvideo),
}


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_logits_equal_the_papers_code(name: str) -> None:
    library = _parity_lib()
    fixture = library.load(SHARED / "parity" / f"{name}.json")
    build, rename = CASES[name]
    method = build().eval()
    method.load_state_dict({rename(key): value for key, value in library.weights(fixture).items()})
    for kind, clip in zip(("noise", "structured"), library.inputs(fixture)):
        expected = torch.tensor((fixture if kind == "noise" else fixture["structured"])["logits_fp64"]).double()
        with torch.inference_mode():
            logits = method(_ours(clip, fixture)).double()
        difference = (logits.flatten() - expected.flatten()).abs().max() / expected.abs().max()
        assert difference <= TOLERANCE, f"{kind}: relative difference {difference:.2e}"


def _ours(clip: torch.Tensor, fixture: dict) -> torch.Tensor:
    """A peer's input layout -> (B, T, C, H, W)."""
    layout = fixture["input_layout"]
    if layout.startswith("(N, T*3"):
        return clip.unflatten(1, (-1, 3))
    if clip.ndim == 6:
        clip = clip[:, 0]
    return clip.transpose(1, 2)
