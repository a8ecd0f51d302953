"""Videos to measure with: a made texture that moves, as H.264 with key frames as far apart as one likes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.made_frames import HEIGHT, WIDTH, texture
from utils.random_streams import stream

RATE, SECONDS = 30, 10


def write_video(file: Path, *, number: int, key_frames: int, frames: int = RATE * SECONDS) -> None:
    """340x256, `frames` at 30 per second, x264 at crf 23, a key frame every `key_frames`; about 500 KB."""
    rng = stream(0, "video", number)
    still = texture(rng, slope=1.5, height=2 * HEIGHT, width=2 * WIDTH)
    with av.open(str(file), "w") as container:
        options = {"crf": "23", "g": str(key_frames), "keyint_min": str(key_frames), "sc_threshold": "0"}
        video = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in range(frames):
            top = int(HEIGHT / 2 + HEIGHT / 3 * np.sin(frame / 40 + number))
            left = int(WIDTH / 2 + WIDTH / 3 * np.cos(frame / 29))
            noise = rng.integers(-6, 7, (HEIGHT // 2, WIDTH // 2, 1)).repeat(2, axis=0).repeat(2, axis=1)
            picture = still[top : top + HEIGHT, left : left + WIDTH].astype(np.int16) + noise
            pixels = np.clip(picture, 0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
