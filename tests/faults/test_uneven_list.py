"""A training list that the ranks can't share evenly, batch norm shared by pairs of them: nobody waits for anybody."""

import re
from pathlib import Path

import pytest

from tests.engine.command_processes import run_ranks
from tests.experiments import checkpoint, write_experiment


@pytest.mark.slow
def test_13_videos_on_4_ranks_in_groups_of_2(tmp_path: Path) -> None:
    """10 iterations of 8 clips: six epochs, none of which ends where an iteration does."""
    config = write_experiment(
        tmp_path,
        videos=13,
        model={"kwargs": {"width": 8, "bn_group_size": 2}},
        batch_size=2,
        lr_scheduler={"max_iter": 10},
        val_freq=5,
        timeout=0.5,
    )
    finished = run_ranks(config, ranks=4)
    assert [rank.status for rank in finished] == [0] * 4, [rank.err for rank in finished]
    assert checkpoint(config)["iteration"] == 10
    log = (config.parent / "log.txt").read_text()
    assert "iter 10/10" in log
    assert len(re.findall(r"evaluation at iteration \d+: .*\b13 videos", log)) == 2, log
