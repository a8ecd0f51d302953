"""Measurements of speed; each prints what it measured, and docs/performance.md keeps what they said."""
