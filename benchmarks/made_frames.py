"""Frames to measure with: textures with the spectrum of photographs, as JPEGs of the size that real ones have."""

from pathlib import Path

import numpy as np
import simplejpeg

from utils.random_streams import stream

HEIGHT, WIDTH = 256, 340  # what TSN and TSM dump
QUALITY = 95
MEAN_BYTES = 27_000  # of such frames of Kinetics and UCF101


def texture(rng: np.random.Generator, *, slope: float, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 (height, width, 3): noise whose amplitudes fall as frequency ** -`slope`, channels mostly alike."""
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down, right)
    frequency[0, 0] = 1
    common = rng.standard_normal((height, width))
    channels = []
    for _ in range(3):
        noise = 0.9 * common + 0.1 * rng.standard_normal((height, width))
        channel = np.fft.irfft2(np.fft.rfft2(noise) / frequency**slope, s=(height, width))
        channels.append(128 + 45 * (channel - channel.mean()) / channel.std())
    return np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)


def as_jpeg(pixels: np.ndarray) -> bytes:
    """Quality 95, 4:2:0, as `dump_frames` writes them."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=QUALITY, colorsubsampling="420")


def usual_slope(mean_bytes: int = MEAN_BYTES) -> float:
    """The slope at which a texture's JPEG has `mean_bytes`, within some percent."""
    low, high = 1.0, 3.0
    for _ in range(8):
        slope = (low + high) / 2
        size = np.mean([len(as_jpeg(texture(stream(0, "slope", n), slope=slope))) for n in range(3)])
        low, high = (slope, high) if size > mean_bytes else (low, slope)
    return (low + high) / 2


def write_frames(root: Path, *, videos: int, frames: int) -> None:
    """`root/frames/video_000/img_00001.jpg` ... and `root/list.txt`: a texture per video, moved from frame to frame."""
    slope = usual_slope()
    lines = []
    for number in range(videos):
        folder = root / "frames" / f"video_{number:03d}"
        folder.mkdir(parents=True)
        rng = stream(0, "texture", number)
        still, step = texture(rng, slope=slope), rng.integers(-6, 7, size=2)
        for frame in range(frames):
            moved = np.roll(still, tuple(frame * step), axis=(0, 1))
            (folder / f"img_{frame + 1:05d}.jpg").write_bytes(as_jpeg(moved))
        lines.append(f"{folder.name} {frames} {number % 2}\n")
    (root / "list.txt").write_text("".join(lines), encoding="utf-8")


def mean_size(root: Path) -> int:
    """Bytes of a frame below `root`, on average."""
    sizes = [file.stat().st_size for file in root.rglob("*.jpg")]
    return sum(sizes) // len(sizes)
