"""Score files by hand, for the tools that read them."""

from typing import Any

import numpy as np

from anal_tools.results_file import Results

NAMES = ["run", "walk", "jump"]
# Seven videos: the label, and logits of which exp(2) = 7.389 and exp(4) = 54.598
SCORES = [
    (0, [2, 0, 0]),  # right
    (0, [0, 2, 0]),  # taken for walk: 7.389 / 9.389 = 0.7870
    (0, [0, 4, 0]),  # taken for walk: 54.598 / 56.598 = 0.9647
    (1, [0, 2, 0]),  # right
    (1, [2, 0, 0]),  # taken for run: 0.7870
    (2, [5, 4, 4]),  # taken for run: e / (e + 2) = 0.5761, though no logit is larger
    (2, [0, 0, 2]),  # right
]


def results(**changes: Any) -> Results:
    """The seven videos, with `changes`."""
    values: dict[str, Any] = {
        "scores": np.array([scores for _, scores in SCORES], dtype=np.float32),
        "labels": np.array([label for label, _ in SCORES]),
        "paths": np.array([f"a folder/video {row}" for row in range(len(SCORES))]),
        "class_names": np.array(NAMES),
        "num_frames": np.full(len(SCORES), 9),
        "protocol": "center",
        "average": "logits",
        "config": "common: {}\n",
        "checkpoint": "exps/x/ckpt_best.pth.tar",
        "checkpoint_sha256": "00",
        "list_file": "lists/val.txt",
        "list_sha256": "11",
        "root": "/nowhere",
        "image_tmpl": "",
        "versions": "{}",
    }
    return Results(**{**values, **changes})
