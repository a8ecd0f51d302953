"""A config on made-up frame folders: 10 videos of 12 frames of 48 x 64 pixels in 3 classes, named `v 0` to `v 9`."""

from pathlib import Path
from typing import Any

from tests.frame_folders import make_frame_folders, write_list
from utils.config_schema import Config

NUM_VIDEOS, NUM_FRAMES, NUM_CLASS = 10, 12, 3


def folder_config(folder: Path, **values: Any) -> Config:
    """Write frames and list below `folder`, where they are not yet; `values` override or add keys."""
    names = [f"v {number}" for number in range(NUM_VIDEOS)]
    if not (folder / "frames").exists():
        make_frame_folders(folder / "frames", names, frames=NUM_FRAMES)
        write_list(folder / "list.txt", [f"{name} {NUM_FRAMES} {i % NUM_CLASS}" for i, name in enumerate(names)])
    common: dict[str, Any] = {
        "model": {"type": "tsn", "backbone": "resnet18", "num_class": NUM_CLASS, "num_segments": 4},
        "augmentation": {"input_size": 16, "test_resize": 24},
        "batch_size": 3,
        "workers": 0,
        "lr_scheduler": {"base_lr": 0.1, "max_iter": 8},
        "train_root": str(folder / "frames"),
        "train_source": str(folder / "list.txt"),
        "val_root": str(folder / "frames"),
        "val_source": str(folder / "list.txt"),
    }
    for key, value in values.items():
        common[key] = {**common[key], **value} if isinstance(value, dict) and key in common else value
    return Config.model_validate(common)
