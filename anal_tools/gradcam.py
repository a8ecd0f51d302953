"""Where a model looks: class activation maps over the frames of videos, as animated WebP (Grad-CAM, ICCV 2017).

    python anal_tools/gradcam.py --load-path exps/<set>/<name>/ckpt_best.pth.tar --results r.npz --count 20 --out report
    python anal_tools/gradcam.py --load-path exps/<set>/<name>/ckpt_best.pth.tar VIDEO... --out DIR

With --results it shows the most confident errors, for the class they were taken for, as DIR/cams/<row>.webp, which
`analyze.py --html --out DIR` links. Methods of image networks (tsn, tsm, image).
"""

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools.predict import Predictor, load_predictor, load_video
from anal_tools.results_file import load_results
from anal_tools.tables import top_errors
from engine.view_scoring import cut_views
from networks.image_network import ImageNetwork
from utils.device_transforms import normalise
from utils.errors import UserError, run_command

STRENGTH = 0.5  # of the map over the frame
MILLISECONDS = 250  # a frame
QUALITY = 80


def activation_maps(predictor: Predictor, view: torch.Tensor, label: int | None = None) -> tuple[np.ndarray, int]:
    """Maps float32 (T, H, W) from 0 to 1 of a view uint8 (T, H, W, C), and the class that they are of.

    The class is `label`, or the best one. A frame's map is the positive part of the last block's channels, weighed
    by how the class's score changes with each; the whole clip has one scale. T counts segments.
    """
    method = predictor.scorer.method
    if not isinstance(method.backbone, ImageNetwork):
        raise UserError(f"{type(method).__name__}: activation maps are of image networks (tsn, tsm, image) only")
    seen: list[torch.Tensor] = []
    block = method.backbone.residual_blocks()[-1][-1]
    hook = block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        logits = method(normalise(view[None], predictor.scorer.mean, predictor.scorer.std))[0]
    finally:
        hook.remove()
    chosen = int(logits.argmax()) if label is None else label
    (gradient,) = torch.autograd.grad(logits[chosen], seen[0])
    maps = (seen[0] * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True).relu().detach()
    size = [int(side) for side in view.shape[1:3]]
    large = torch.nn.functional.interpolate(maps.float(), size, mode="bilinear", align_corners=False)[:, 0]
    return (large / large.amax().clamp(min=1e-12)).cpu().numpy(), chosen


def overlay(frames: np.ndarray, maps: np.ndarray) -> list[Image.Image]:
    """Frames uint8 (T, H, W, 3) with their maps (T, H, W) in colour over them."""
    colours = 255 * matplotlib.colormaps["inferno"](maps)[..., :3]
    weights = STRENGTH * maps[..., None]
    return [Image.fromarray(each) for each in (frames * (1 - weights) + colours * weights).round().astype(np.uint8)]


def write_webp(path: Path, pictures: list[Image.Image]) -> None:
    """An animated WebP that loops."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"duration": MILLISECONDS, "loop": 0, "quality": QUALITY}
        pictures[0].save(path, "WEBP", save_all=True, append_images=pictures[1:], **options)
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error})") from error


def draw(predictor: Predictor, video: Path, out: Path, label: int | None = None) -> int:
    """Write the maps of a video's first view; returns the class that they are of. Raises `UserError`."""
    view = next(cut_views(load_video(predictor, video), predictor.scorer.device))
    maps, chosen = activation_maps(predictor, view, label)
    frames = view.cpu().numpy()[:: predictor.protocol.frames_per_segment, ..., :3]
    if frames.shape[3] != 3:
        raise UserError("activation maps are drawn over RGB frames, not over flow")
    places = np.linspace(0, len(maps) - 1, len(frames)).round().astype(np.int64)  # a temporal pool leaves fewer maps
    write_webp(out, overlay(frames, maps[places]))
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
    wanted: list[tuple[Path, Path]] = [(video, options.out / f"{video.stem}.webp") for video in options.videos]
    if options.results:
        results = load_results(options.results)
        root = options.root or Path(results.root)
        errors = top_errors(results, options.count)
        wanted = [(root / error.path, options.out / "cams" / f"{error.row}.webp") for error in errors]
    failures = []
    for video, path in tqdm(wanted, unit="video", disable=None, leave=False):
        try:
            chosen = draw(predictor, video, path)
            tqdm.write(f"{path}: {predictor.class_names[chosen]}")
        except UserError as error:
            failures.append(f"{video}: {' '.join(error.lines)}")
    if failures:
        raise UserError(*failures)
    return 0


if __name__ == "__main__":
    run_command(main)
