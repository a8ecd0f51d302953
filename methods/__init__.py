"""Methods: how a clip becomes class scores. Each takes float (B, T, C, H, W) and gives logits (B, K)."""

from methods.build import METHODS, build_method, kwargs_mistakes

__all__ = ["METHODS", "build_method", "kwargs_mistakes"]
