"""A small good config for the tests of the config, as text."""

from pathlib import Path

GOOD = """\
common:
    model:
        type: tsm
        backbone: resnet50
        num_class: 10
        kwargs:
            shift_div: 8
    augmentation:
        input_size: 224
        test_resize: 256
    batch_size: 8
    lr_scheduler:
        base_lr: 1e-2
        max_iter: 1000
    train_root: /data
    train_source: train.txt
    val_root: /data
    val_source: val.txt
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path
