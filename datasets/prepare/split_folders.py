"""A split of one's own: a folder per class, divided into train and val by groups that stay together."""

import re
from collections import Counter

from datasets.prepare.frame_counts import FrameFolders
from datasets.prepare.splits import ListedVideo, Split
from utils.errors import UserError
from utils.random_streams import stream


def split_class_folders(folders: FrameFolders, *, val_fraction: float, group_pattern: re.Pattern[str]) -> Split:
    """Folders <class>/<video>; each class gives about `val_fraction` of its videos to val, alike at every call.

    Videos whose names have the same match of `group_pattern` (its first parenthesis, if it has one) come from one
    scene or person and stay on one side, across classes too; a video without a match is a group of its own.
    """
    names = sorted(folders.inside())
    videos = [ListedVideo(f"{name}/{video}", label) for label, name in enumerate(names) for video in _in(folders, name)]
    if not videos:
        raise UserError(f"{folders.root}: got no folders <class>/<video> in it; needs a folder per class")
    groups: dict[str, list[ListedVideo]] = {}
    for video in videos:
        match = group_pattern.search(video.path.split("/")[1])
        key = (match[1] if group_pattern.groups else match[0]) if match else video.path
        groups.setdefault(key, []).append(video)
    chosen = choose_groups(
        {key: Counter(video.label for video in group) for key, group in groups.items()}, val_fraction=val_fraction
    )
    in_val = {video.path for key in chosen for video in groups[key]}
    train = [video for video in videos if video.path not in in_val]
    return Split(names, train, [video for video in videos if video.path in in_val])


def _in(folders: FrameFolders, name: str) -> list[str]:
    return sorted(folders.inside(name))


def choose_groups(groups: dict[str, Counter[int]], *, val_fraction: float) -> set[str]:
    """Names of the groups for val; `groups` gives the number of videos of each label in a group.

    In a random but fixed order, a group is taken where it brings the classes closer to their shares.
    """
    totals: Counter[int] = Counter()
    for counts in groups.values():
        totals.update(counts)
    wanting = {label: val_fraction * total for label, total in totals.items()}
    names = sorted(groups)
    chosen = set()
    for place in stream(0, "validation split").permutation(len(names)):
        counts = groups[names[place]]
        gain = sum(abs(wanting[label]) - abs(wanting[label] - count) for label, count in counts.items())
        if gain > 0:
            chosen.add(names[place])
            for label, count in counts.items():
                wanting[label] -= count
    return chosen
