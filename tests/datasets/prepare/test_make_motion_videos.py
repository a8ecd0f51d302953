from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.list_file import read_class_names, read_list
from datasets.prepare.make_motion_videos import CLASSES, FRAMES, SIDE, Clip, main, render
from datasets.video_decoding import decode_frames


def test_files_and_lists(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--clips", "16", "--val-clips", "8"]) == 0
    assert len(list(tmp_path.glob("train/*/*.mp4"))) == 16
    train = read_list(tmp_path / "train_split.txt", num_class=8, frames_required=False)
    assert Counter(train.labels.tolist()) == dict.fromkeys(range(8), 2)
    assert read_class_names(tmp_path / "train_split.txt", 8) == list(CLASSES)
    assert train[9].path == "train/pan_right/pan_right_train_0002.mp4"
    frames = list(decode_frames(tmp_path / train[9].path))
    rendered = render(Clip("train", 9, 1))
    assert len(frames) == FRAMES
    assert max(np.abs(one.astype(int) - other).mean() for one, other in zip(frames, rendered)) < 4.0


def test_started_again_it_makes_what_is_missing(tmp_path: Path) -> None:
    words = [str(tmp_path), "--clips", "8", "--val-clips", "8"]
    main(words)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob("*/*/*.mp4")}
    lost = tmp_path / "val/zoom_in/zoom_in_val_0001.mp4"
    lost.unlink()
    main(words)
    assert lost.read_bytes() == before.pop(lost)[1]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("pan_left", "-x"),
        ("pan_right", "+x"),
        ("pan_up", "-y"),
        ("pan_down", "+y"),
        ("zoom_in", "+radial"),
        ("zoom_out", "-radial"),
        ("turn_clockwise", "+turn"),
        ("turn_counter_clockwise", "-turn"),
    ],
)
def test_the_picture_moves_as_its_class_says(name: str, measure: str) -> None:
    label = CLASSES.index(name)
    before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in render(Clip("train", label, label))[34:39:4])
    flow = cv2.DISOpticalFlow.create().calc(before, after, np.zeros((SIDE, SIDE, 2), np.float32))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    square = (x**2 + y**2).sum()
    moved = {
        "x": flow[..., 0].mean(),
        "y": flow[..., 1].mean(),
        "radial": (flow[..., 0] * x + flow[..., 1] * y).sum() / square * SIDE / 2,
        "turn": (flow[..., 1] * x - flow[..., 0] * y).sum() / square * SIDE / 2,  # clockwise, as y points down
    }
    sign, key = 1 if measure[0] == "+" else -1, measure[1:]
    assert sign * moved[key] > 0.3  # pixels at the border
    assert all(abs(other) < 0.3 * abs(moved[key]) for name, other in moved.items() if name != key)


def _single_frames(label: int, count: int) -> np.ndarray:
    """One random frame of each of `count` clips as a row of features: a coarse picture and its contrasts."""
    rows = []
    for number in range(count):
        frames = render(Clip("val", 8 * number + label, label))
        frame = frames[number % FRAMES].astype(np.float32) / 255
        contrast = [np.abs(np.diff(frame, axis=axis)).mean() for axis in (0, 1)]
        small = cv2.resize(frame, (4, 4), interpolation=cv2.INTER_AREA)
        rows.append(np.concatenate([small.ravel(), frame.mean((0, 1)), frame.std((0, 1)), contrast, [1.0]]))
    return np.array(rows)


@pytest.mark.parametrize("label", [0, 2, 4, 6])
def test_a_single_frame_does_not_tell_a_motion_from_its_reverse(label: int) -> None:
    count, held_out = 80, 40
    classes = [_single_frames(label, count), _single_frames(label + 1, count)]
    train = np.concatenate([rows[held_out:] for rows in classes])
    signs = np.repeat([1.0, -1.0], count - held_out)
    weights = np.linalg.solve(train.T @ train + np.eye(train.shape[1]), train.T @ signs)
    right = [(rows[:held_out] @ weights * sign > 0).mean() for rows, sign in zip(classes, (1, -1))]
    assert 0.33 < np.mean(right) < 0.67  # 80 held-out frames: chance is 0.50 with a deviation of 0.056
