import re
import shlex
from pathlib import Path

import pytest

from engine.config_checks import engine_mistakes
from methods import kwargs_mistakes
from tests.shared_material import REPOSITORY
from utils.config_file import load_config

CONFIGS = sorted(REPOSITORY.glob("exps/**/config.yaml"))
SETS = ("ucf101", "hmdb51", "kinetics400", "something_v1", "something_v2", "jester")
PUBLISHED = [path for path in CONFIGS if path.parts[-3] in SETS]
DOUYIN = "colorjitter_random_erasing_labelsmooth_0.1_nowd_coslr_bn16_gpu32_lr0.04_epoch100"


def name(path: Path) -> str:
    return str(path.parent.relative_to(REPOSITORY / "exps"))


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_every_recipe_passes_the_config_check(path: Path) -> None:
    load_config(path, checks=(kwargs_mistakes, engine_mistakes))


def test_the_recipes_that_are_promised_are_there() -> None:
    found = {name(path) for path in CONFIGS}
    image = {"tsn_r50", "tsm_r50", "tsm_mobilenetv2"}
    slowfast = {"slowfast_4x16_r50", "slowfast_8x8_r50"}
    assert {f"kinetics400/{each}" for each in image | slowfast} <= found
    assert {f"something_v2/{each}" for each in {*image, "slowfast_8x8_r50"}} <= found
    assert {f"{split}/{each}" for split in ("ucf101", "hmdb51") for each in {*image, "slowfast_4x16_r50"}} <= found
    options = {
        "kinetics400/tsm_nl_r50",
        "something_v1/tsm_r50",
        "something_v2/trn_r50",
        "jester/tsm_mobilenetv2_online",
    }
    assert options | {f"something_v{n}/tsm_{each}" for n in (1, 2) for each in ("r50_16f", "r101")} <= found
    assert f"douyin_exps/tsn_v5_mobilenet/{DOUYIN}" in found


@pytest.mark.parametrize("path", PUBLISHED, ids=name)
def test_the_comment_of_a_recipe_is_true(path: Path) -> None:
    """The iterations are epochs x videos / global batch, as the comment computes them."""
    config, text = load_config(path), path.read_text(encoding="utf-8")
    numbers = re.search(
        r"# (\d+) GPUs x (\d+) clips = (\d+) clips per iteration; (\d+) epochs x ([\d,]+) / (\d+) = ([\d,]+) iter", text
    )
    assert numbers, "the calculation is missing"
    gpus, clips, batch, epochs, videos, divisor, iterations = (int(each.replace(",", "")) for each in numbers.groups())
    assert (clips, gpus * clips, divisor) == (config.batch_size, batch, batch)
    assert config.lr_scheduler.max_iter == iterations == round(epochs * videos / batch)
    assert f"{videos:,} training videos" in text
    for key, line in (("lr_steps", r"lr_steps: .*# epochs (\d+) and (\d+)"), ("warmup_steps", r"# ([\d.]+) epochs\n")):
        value = getattr(config.lr_scheduler, key)
        if value:
            written = re.search(line, text)
            assert written, key
            wanted = [round(float(epoch) * videos / batch) for epoch in written.groups()]
            assert wanted == (value if isinstance(value, list) else [value])
    assert text.startswith(f"# bash exps/{name(path)}/train.sh PARTITION {gpus} ")


@pytest.mark.parametrize("path", PUBLISHED, ids=name)
def test_left_and_right_are_classes_of_something_something_and_jester(path: Path) -> None:
    config = load_config(path)
    assert (config.augmentation.flip == 0) == any(name in config.train_root for name in ("something", "jester"))


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_every_experiment_has_thin_scripts_that_find_the_launcher(path: Path) -> None:
    for mode in ("train", "eval"):
        lines = (path.parent / f"{mode}.sh").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 4
        call = shlex.split(lines[-1])
        launcher = Path(call[2].replace("$here", str(path.parent))).resolve()
        assert launcher == REPOSITORY / "exps" / "launch.sh"
        assert call[3:] == [mode, "$here", "$@"]


def test_a_wrong_option_of_a_recipe_is_found() -> None:
    config = load_config(REPOSITORY / "exps/kinetics400/tsm_r50/config.yaml", ["common.model.kwargs.shiftdiv=8"])
    assert kwargs_mistakes(config)
