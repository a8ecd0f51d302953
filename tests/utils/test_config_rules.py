from pathlib import Path

import pytest

from tests.utils.written_config import GOOD, write
from utils.config_file import load_config
from utils.errors import UserError

RATES = "common.lr_scheduler."
CROPS = "common.augmentation."


def lines(folder: Path, overrides: list[str]) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_config(write(folder, GOOD), overrides)
    return [line.split(": common.", 1)[1] for line in caught.value.lines]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ([CROPS + "test_resize=223"],
         "augmentation.test_resize: got 223, needs at least input_size (224), the crop that is cut from it"),
        ([RATES + "warmup_steps=1000", RATES + "warmup_lr=0.1"],
         "lr_scheduler.warmup_steps: got 1000, needs less than max_iter (1000)"),
        ([RATES + "warmup_lr=0.1"],
         "lr_scheduler.warmup_lr: got 0.1, but warmup_steps is 0: set warmup_steps, or base_lr to this rate"),
        ([RATES + "min_lr=0.02"],
         "lr_scheduler.min_lr: got 0.02, needs at most the rate that the schedule starts from (0.01)"),
        ([RATES + "power=2"], "lr_scheduler.power: got 2.0, but power is not used by COSINE; remove it"),
        ([RATES + "lr_steps=[5]"], "lr_scheduler.lr_steps: got [5], but lr_steps is not used by COSINE; remove it"),
        ([RATES + "type=POLY", RATES + "lr_mults=[0.1]"],
         "lr_scheduler.lr_mults: got [0.1], but lr_mults is not used by POLY; remove it"),
        ([RATES + "type=STEP"],
         "lr_scheduler.lr_steps: got none, needs the iterations at which STEP changes the rate"),
        ([RATES + "type=STEP", RATES + "lr_steps=[5, 9]", RATES + "lr_mults=[0.1]"],
         "lr_scheduler.lr_mults: got 1 factors, needs one for each of the 2 lr_steps"),
        ([RATES + "type=STEP", RATES + "lr_steps=[9, 9]", RATES + "lr_mults=[0.1, 0.1]"],
         "lr_scheduler.lr_steps: got [9, 9], needs increasing iterations"),
        ([RATES + "type=STEP", RATES + "lr_steps=[9, 1000]", RATES + "lr_mults=[0.1, 0.1]"],
         "lr_scheduler.lr_steps: got 1000, needs less than max_iter (1000)"),
        ([RATES + "type=STEP", RATES + "lr_steps=[9]", RATES + "lr_mults=[0.1]", RATES + "warmup_steps=10"],
         "lr_scheduler.lr_steps: got 9, needs at least warmup_steps (10)"),
        ([RATES + "type=STEP", RATES + "lr_steps=[9]", RATES + "lr_mults=[0.1]", RATES + "min_lr=0.001"],
         "lr_scheduler.min_lr: got 0.001, but min_lr is not used by STEP; remove it"),
        ([CROPS + "jitter_sizes=[320, 256]"],
         "augmentation.jitter_sizes: got [320, 256], needs the smaller one first"),
        ([CROPS + "jitter_sizes=[200, 256]"],
         "augmentation.jitter_sizes: got 200, needs at least input_size (224)"),
        ([CROPS + "scales=[1.0, 0]"],
         "augmentation.scales: got [1.0, 0], needs a list of at least 1, each a number above 0 and at most 1"),
        ([CROPS + "colorjitter=[0.2, 0.2, 0.2, 0.6]"],
         "augmentation.colorjitter: got a hue of 0.6, needs at most 0.5 (half the circle)"),
        ([CROPS + "random_erasing=[1.5, 0.02, 0.4, 0.3]"],
         "augmentation.random_erasing: got a probability of 1.5, needs at most 1"),
        ([CROPS + "random_erasing=[0.5, 0.5, 0.4, 0.3]"],
         "augmentation.random_erasing: got areas of 0.5 to 0.4, needs the smaller one first, both above 0 and at "
         "most 1"),
        ([CROPS + "random_erasing=[0.5, 0.02, 0.4, 3]"],
         "augmentation.random_erasing: got a smallest aspect of 3.0, needs above 0 and at most 1"),
        ([CROPS + "flip_label_map={3: 10, 10: 3}"],
         "augmentation.flip_label_map: got the label 10, needs 0 to num_class - 1 (9)"),
        ([CROPS + "flip_label_map={3: 4, 4: 5, 5: 4}"],
         "augmentation.flip_label_map: got 3: 4 without the way back; needs 4: 3 too"),
        ([CROPS + "flip_label_map={3: 4, 4: 3}", CROPS + "flip=0"],
         "augmentation.flip_label_map: got {3: 4, 4: 3}, but flip is 0: no clip is mirrored; remove it"),
        ([CROPS + "mean=[0.5]"], "augmentation.mean: got 1 values, needs 3, one per channel of RGB"),
        ([CROPS + "std=[0.5, 1, 1]", "common.model.modality=Flow"],
         "augmentation.std: got 3 values, needs 2, one per channel of Flow"),
        ([CROPS + "mix_up=0.2", "common.batch_size=1"],
         "augmentation.mix_up: got mix-up with a batch_size of 1, needs at least 2 clips to mix"),
        (["common.nesterov=True", "common.momentum=0"],
         "nesterov: got True with a momentum of 0, needs momentum above 0"),
        (["common.nesterov=True", "common.optimizer=ADAMW"],
         "nesterov: got True, but it is not used by ADAMW; remove it"),
        (["common.val_dense=True", "common.val_protocol=center"],
         "val_protocol: got 'center' together with val_dense: True; remove one of them"),
        (["common.image_tmpl=frame.jpg"],
         "image_tmpl: got 'frame.jpg', needs a name with the place of the number, such as img_{:05d}.jpg"),
        (["common.image_tmpl='img_{:999999999d}.jpg'"],
         "image_tmpl: got 'img_{:999999999d}.jpg', needs a name with the place of the number, such as "
         "img_{:05d}.jpg"),
        (["common.image_tmpl='{:05d}.jpg'", "common.source.type=video"],
         "image_tmpl: got '{:05d}.jpg', but source is video: it has no frame names"),
    ],
)  # fmt: skip
def test_two_keys_that_do_not_go_together(tmp_path: Path, overrides: list[str], line: str) -> None:
    assert lines(tmp_path, overrides) == [line]


@pytest.mark.parametrize(
    "overrides",
    [
        [CROPS + "test_resize=224"],
        [RATES + "warmup_steps=10", RATES + "warmup_lr=0.1", RATES + "min_lr=0.05"],
        [RATES + "warmup_lr=0.01"],
        [RATES + "type=STEP", RATES + "lr_steps=[5, 9]", RATES + "lr_mults=[0.1, 0.1]"],
        [RATES + "type=POLY", RATES + "power=0.9"],
        [CROPS + "flip_label_map={3: 4, 4: 3, 5: 5}"],
        [CROPS + "random_erasing=[0, 0.02, 0.02, 1]"],
        ["common.image_tmpl='flow_{}_{:05d}.jpg'", "common.model.modality=Flow", CROPS + "mean=[0.5, 0.5]"],
        ["common.image_tmpl='flow_{axis}_{:05d}.jpg'", "common.model.modality=Flow", CROPS + "mean=[0.5, 0.5]"],
        ["common.image_tmpl='{:06d}.jpg'", "common.nesterov=True"],
    ],
)
def test_keys_that_go_together(tmp_path: Path, overrides: list[str]) -> None:
    load_config(write(tmp_path, GOOD), overrides)


def test_several_rules_in_one_report(tmp_path: Path) -> None:
    overrides = [RATES + "min_lr=1", CROPS + "test_resize=5", "common.batch_size=1", CROPS + "mix_up=1"]
    assert len(lines(tmp_path, overrides)) == 3
