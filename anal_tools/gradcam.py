"""Where a model looks: class activation maps over the frames of videos, as animated WebP (Grad-CAM, ICCV 2017).

    python anal_tools/gradcam.py --load-path exps/<set>/<name>/ckpt_best.pth.tar --results r.npz --count 20 --out report
    python anal_tools/gradcam.py --load-path exps/<set>/<name>/ckpt_best.pth.tar VIDEO... --out DIR

With --results it shows the most confident errors, for the class they were taken for, as DIR/cams/<row>.webp, which
`analyze.py --html --out DIR` links. Of SlowFast both pathways stand side by side, slow frames until the next one.
"""

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.activation_maps import activation_maps
from anal_tools.clips import write_webp
from anal_tools.predict import Predictor, for_each_video, load_predictor, load_video
from anal_tools.results_file import load_results
from anal_tools.tables import top_errors
from engine.view_scoring import cut_views
from utils.errors import UserError, run_command

STRENGTH = 0.5  # of the map over the frame
SECONDS = 2.0  # a clip
QUALITY = 80
GAP = 4  # pixels between two pathways


def overlay(frames: np.ndarray, maps: np.ndarray) -> list[Image.Image]:
    """Frames uint8 (T, H, W, 3) with their maps (T, H, W) in colour over them."""
    colours = 255 * matplotlib.colormaps["inferno"](maps)[..., :3]
    weights = STRENGTH * maps[..., None]
    return [Image.fromarray(each) for each in (frames * (1 - weights) + colours * weights).round().astype(np.uint8)]


def side_by_side(pathways: list[list[Image.Image]], names: list[str]) -> list[Image.Image]:
    """A picture per frame of the pathway with the most; a slower one's stands until its next. Names are written in."""
    count = max(len(pictures) for pictures in pathways)
    width, height = pathways[0][0].size
    joined = []
    for place in range(count):
        picture = Image.new("RGB", (len(pathways) * width + GAP * (len(pathways) - 1), height), "white")
        for column, pictures in enumerate(pathways):
            left = column * (width + GAP)
            picture.paste(pictures[place * len(pictures) // count], (left, 0))
            ImageDraw.Draw(picture).text(
                (left + 3, 2), names[column], fill="white", stroke_width=1, stroke_fill="black"
            )
        joined.append(picture)
    return joined


def draw(predictor: Predictor, video: Path, out: Path, label: int | None = None) -> int:
    """Write the maps of a video's first view; returns the class that they are of. Raises `UserError`."""
    view = next(cut_views(load_video(predictor, video), predictor.scorer.device))
    pathways, chosen = activation_maps(predictor, view, label)
    frames = view.cpu().numpy()[:: predictor.protocol.frames_per_segment, ..., :3]
    if frames.shape[3] != 3:
        raise UserError("activation maps are drawn over RGB frames, not over flow")
    pictures = [overlay(frames[each.frames], each.maps) for each in pathways]
    write_webp(out, side_by_side(pictures, [each.name for each in pathways]), seconds=SECONDS, quality=QUALITY)
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Draw each video; returns the exit status."""
    parser = argparse.ArgumentParser(description="Class activation maps as animated WebP.")
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="video file, folder of frames, picture")
    parser.add_argument("--load-path", required=True, type=Path, help="a checkpoint of a run")
    parser.add_argument("--results", type=Path, help="score file: draw its most confident errors")
    parser.add_argument("--root", type=Path, help="of --results: folder that the paths start from, if it has moved")
    parser.add_argument("--count", type=int, default=20, help="of --results: how many (default: 20)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    options = parser.parse_args(arguments)
    if bool(options.videos) == bool(options.results):
        parser.error("needs VIDEO..., or --results")
    predictor = load_predictor(options.load_path, "center")
    wanted = {video: options.out / f"{video.stem}.webp" for video in options.videos}
    if options.results:
        results = load_results(options.results)
        root = options.root or Path(results.root)
        errors = top_errors(results, options.count)
        wanted = {root / error.path: options.out / "cams" / f"{error.row}.webp" for error in errors}

    def draw_one(video: Path) -> str:
        return f"{wanted[video]}: {predictor.class_names[draw(predictor, video, wanted[video])]}"

    for_each_video(list(wanted), draw_one)
    return 0


if __name__ == "__main__":
    run_command(main)
