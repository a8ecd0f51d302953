"""The experiment's folder."""

import os
from pathlib import Path

import pytest

from engine.experiment import Experiment
from utils.errors import UserError


def test_create_makes_what_a_run_writes_into_and_keeps_what_is_there(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "set" / "name")
    experiment.create()
    experiment.log_file.write_text("a line\n")
    experiment.create()
    assert {path.name for path in experiment.folder.iterdir()} == {"events", "results", "log.txt"}
    assert experiment.log_file.read_text() == "a line\n"
    assert experiment.resolved_config == experiment.folder / "config_resolved.yaml"


def test_a_file_in_the_way_is_the_users_to_move(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to .*copy the experiment's folder to where you may write"):
        Experiment(tmp_path).create()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        Experiment(tmp_path).create()
