"""Limits of a container or a job, for real: a control group of one controller, of cgroup version 1 or 2."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


def control_group(controller: Path, limits: Mapping[str, str]) -> Iterator[Path]:
    """A group of `controller`'s folder (version 2: of the one above) with `limits` (file: text), removed afterwards."""
    version_1 = (controller / "cgroup.procs").exists()
    group = (controller if version_1 else controller.parent) / f"faults {os.getpid()}"
    try:
        group.mkdir()
        for name, text in limits.items():
            (group / name).write_text(text)
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no {controller.name} cgroup can be made here: {error}")
    yield group
    group.rmdir()
