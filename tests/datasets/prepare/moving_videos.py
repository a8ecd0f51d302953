"""Small real videos for the tests of this folder."""

from pathlib import Path

from datasets.prepare.make_motion_videos import Clip, render, write_video

FRAMES = 16  # of each video
SIDE = 64


def make_videos(root: Path, names: list[str]) -> Path:
    """Write an mp4 of 16 frames of 64x64 for each of the paths `names` below `root`; returns `root`."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(root / name, render(Clip("train", number, number % 8))[:FRAMES])
    return root
