"""Methods: how a clip becomes class scores. Each takes float (B, T, C, H, W) and gives logits (B, K)."""

from methods.build import build_from, build_method, build_published, complete
from methods.kwargs_checks import kwargs_mistakes
from methods.registry import METHODS, needs_names_of_ours

__all__ = [
    "METHODS",
    "build_from",
    "build_method",
    "build_published",
    "complete",
    "kwargs_mistakes",
    "needs_names_of_ours",
]
