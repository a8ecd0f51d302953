"""What the fast ways of decoding a JPEG do to the pixels of a training crop, in grey levels off Pillow's.

    python -m benchmarks.grey_levels [VIDEO ...]

Frames of the videos (without any: made textures) as JPEGs of 340x256, quality 95, 4:2:0 -> crop of 224x256 -> 224x224.
"""

import argparse
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import simplejpeg
import torch

from benchmarks.made_frames import HEIGHT, WIDTH, as_jpeg, texture, usual_slope
from datasets.video_decoding import decode_frames
from utils.random_streams import stream
from utils.transforms import CropBox, cut, resize

BOX, SIZE, EVERY, FRAMES = CropBox(16, 40, 224, 256), 224, 15, 8
WAYS = {
    "exact": {},
    "colours doubled (ours)": {"fastupsample": True},
    "fast DCT": {"fastdct": True},
    "both": {"fastupsample": True, "fastdct": True},
}


def pictures(videos: list[Path]) -> Iterator[bytes]:
    """The JPEGs to look at."""
    if not videos:
        slope = usual_slope()
        yield from (as_jpeg(texture(stream(0, "texture", number), slope=slope)) for number in range(FRAMES))
    for video in videos:
        for frame in islice(decode_frames(video), 0, EVERY * FRAMES, EVERY):
            yield as_jpeg(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def pillow_crop(data: bytes) -> np.ndarray:
    """The crop as Pillow makes it."""
    corners = (BOX.left, BOX.top, BOX.left + BOX.width, BOX.top + BOX.height)
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB").crop(corners).resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR))


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grey_levels", description=__doc__.split("\n")[0])
    parser.add_argument("videos", type=Path, nargs="*", metavar="VIDEO")
    found: dict[str, list[float]] = {name: [] for name in [*WAYS, "exact, OpenCV's resize"]}
    for data in pictures(parser.parse_args().videos):
        expected = pillow_crop(data).astype(np.int16)
        for name, options in WAYS.items():
            pixels = torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB", **options))
            crop = resize(cut(pixels, BOX)[None], (SIZE, SIZE))[0].numpy()
            found[name].append(float(np.abs(crop - expected).mean()))
        exact = cut(torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB")), BOX).numpy()
        found["exact, OpenCV's resize"].append(float(np.abs(cv2.resize(exact, (SIZE, SIZE)) - expected).mean()))
    print(f"{len(found['exact'])} frames; grey levels off Pillow's, on average and in the worst frame")
    for name, values in found.items():
        print(f"{name:24} {np.mean(values):5.2f} {max(values):5.2f}")


if __name__ == "__main__":
    main()
