"""The table of docs/model_zoo.md: parameters and GFLOPs of every published recipe beside the published numbers.

python -m engine.model_zoo            print the table
python -m engine.model_zoo --write    put it into docs/model_zoo.md
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from engine.preflight import count_gflops, count_parameters
from engine.published_counts import PUBLISHED, Published
from methods import build_method
from methods.method import Method
from utils.config_file import load_config
from utils.errors import UserError, run_command
from utils.page_table import place_table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "model_zoo.md"
SETS = ("kinetics400", "something_v1", "something_v2", "jester", "ucf101", "hmdb51")
COMMAND = "python -m engine.model_zoo --write"
META = torch.device("meta")
NOTABLE = 0.01


class Counted(NamedTuple):
    """A recipe's counts: `gflops` by the side of a view; `compared`: of the view that `published` counts."""

    recipe: str
    network: str
    frames: int
    parameters: int
    gflops: dict[int, float]
    published: Published | None
    compared: float

    def differences(self) -> tuple[float, float]:
        """Relative differences of parameters and GFLOPs from the published ones; 0 where there are none."""
        if self.published is None:
            return 0.0, 0.0
        return self.parameters / 1e6 / self.published.parameters - 1, self.compared / self.published.gflops - 1


def recipe_names() -> list[str]:
    """Every recipe of the published sets, e.g. kinetics400/tsm_r50."""
    folders = [path.parent for each in SETS for path in sorted((ROOT / "exps" / each).glob("*/config.yaml"))]
    return [f"{folder.parent.name}/{folder.name}" for folder in folders]


def count_recipe(name: str) -> Counted:
    """Count a recipe's method on the meta device: nothing is allocated, nothing computed."""
    config = load_config(ROOT / "exps" / name / "config.yaml")
    with META:
        method = build_method(config.model, initialise=False)
    published, frames = PUBLISHED.get(name), method.frames_per_view
    sides = (config.augmentation.input_size, config.augmentation.test_resize)
    gflops = {side: count for side in sides if (count := _gflops(method, frames, side)) is not None}
    compared = _gflops(method, published.frames or frames, published.side) if published else None
    return Counted(
        recipe=name,
        network=f"{config.model.type}, {config.model.backbone}",
        frames=frames,
        parameters=count_parameters(method),
        gflops=gflops,
        published=published,
        compared=compared or 0.0,
    )


def _gflops(method: Method, frames: int, side: int) -> float | None:
    """GFLOPs of one view; None where the method takes no such view."""
    try:
        return count_gflops(method, torch.empty(1, frames, len(method.mean), side, side, device=META))
    except UserError:
        return None


def make_table() -> str:
    """Markdown: a row per recipe; below it what explains each difference of more than 1 %, recipes by explanation."""
    rows = [
        "| recipe | network | frames | parameters | GFLOPs per view | published | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    remarks: dict[str, list[str]] = {}
    for counted in map(count_recipe, recipe_names()):
        rows.append(f"| {' | '.join(_cells(counted))} |")
        if counted.published and max(map(abs, counted.differences())) > NOTABLE:
            remarks.setdefault(counted.published.remark, []).append(counted.recipe)
    lines = [f"- {remark}: {', '.join(recipes)}." for remark, recipes in remarks.items()]
    return "\n".join([*rows, "", *lines]) + "\n"


def _cells(counted: Counted) -> list[str]:
    gflops = ", ".join(f"{value:.2f} at {side}" for side, value in counted.gflops.items())
    cells = [counted.recipe, counted.network, str(counted.frames), f"{counted.parameters:,}", gflops]
    published = counted.published
    if published is None:
        return [*cells, "", ""]
    frames = f", {published.frames} frames" if published.frames else ""
    parameters, flops = counted.differences()
    return [
        *cells,
        f"{published.parameters:g} M, {published.gflops:.2f} at {published.side}{frames} ({published.source})",
        f"{100 * parameters:.1f} %, {100 * flops:.1f} %".replace("-0.0", "0.0"),
    ]


def with_table(page: str) -> str:
    """The page with the table as the recipes make it now."""
    return place_table(page, make_table(), command=COMMAND, name=str(PAGE))


def main() -> int:
    """Print the table, or write it into docs/model_zoo.md."""
    parser = argparse.ArgumentParser(description="Parameters and GFLOPs of every published recipe.")
    parser.add_argument("--write", action="store_true", help="write it into docs/model_zoo.md")
    if parser.parse_args().write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(make_table())
    return 0


if __name__ == "__main__":
    run_command(main)
