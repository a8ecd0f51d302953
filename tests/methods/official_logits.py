"""Logits that TSM's own code gave (commit 1f6a834, run in double precision) for our deterministic weights.

ResNet-50, 8 classes, 8 segments of 64x64, clips of `structured_clips`; a row per clip.
"""

import json
from pathlib import Path

import torch

from methods.tsm import TSM
from networks import IMAGE_NETWORKS
from tests.deterministic_weights import fill, relative_difference, structured_clips

TOLERANCE = 1e-5


def difference_from_official(case: str, **options: bool | str) -> float:
    """Largest difference / largest logit between TSM's code and our TSM-R50 with `options`."""
    recorded = json.loads(Path(__file__).with_name("official_tsm_logits.json").read_text(encoding="utf-8"))
    method = fill(TSM(IMAGE_NETWORKS["resnet50"](), num_class=8, num_segments=8, **options))
    with torch.inference_mode():
        logits = method(structured_clips(clips=2, frames=8, side=64))
    return relative_difference(logits, torch.tensor(recorded[case], dtype=torch.float64))
