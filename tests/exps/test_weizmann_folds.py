"""The folds of Weizmann: the table by hand, configs that differ in the method alone, wrong calls of run.sh."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from anal_tools.results_file import Results
from engine.config_checks import engine_mistakes
from exps.weizmann_folds.table import METHODS, read_folds, table
from methods import kwargs_mistakes
from tests.anal_tools.score_files import results
from tests.experiments import environment
from tests.shared_material import REPOSITORY
from utils.config_file import load_config

FOLDS = REPOSITORY / "exps" / "weizmann_folds"


def all_right(count: int = 2) -> Results:
    return results(
        scores=np.eye(3, dtype=np.float32)[[1] * count],
        labels=np.array([1] * count),
        paths=np.array([f"v{row}" for row in range(count)]),
        num_frames=np.full(count, 9),
    )


def test_a_row_per_person_then_the_means() -> None:
    """TSN: 3 of 7 and 2 of 2 are 5 of 9, the folds' mean is (42.86 + 100) / 2; TSM has scored one person so far."""
    header, rows = table({"tsn": {"ira": results(), "ido": all_right()}, "tsm": {"ido": all_right()}})
    assert header == ["held out", "TSN MobileNetV2", "TSM MobileNetV2"]
    assert rows[:2] == [["ido", "2 of 2", "2 of 2"], ["ira", "3 of 7", "not yet"]]
    assert rows[2][0] == "all videos, top-1 % (95 %)"
    assert rows[2][1].startswith("55.56 (")
    assert rows[3] == ["mean of the folds, top-1 % (95 %)", "71.43 (42.86 - 100.00)", "100.00 (100.00 - 100.00)"]


def test_score_files_are_found_by_the_person_in_their_folder(tmp_path: Path) -> None:
    results().save(tmp_path / "tsm_ido" / "results" / "tsm-twice-3crop.npz")
    results().save(tmp_path / "tsm_ira" / "results" / "center.npz")
    assert list(read_folds(tmp_path, "tsm")) == ["ido"]
    assert read_folds(tmp_path, "tsn") == {}


def test_configs_differ_in_the_method_alone() -> None:
    texts = {method: (FOLDS / f"{method}.yaml").read_text(encoding="utf-8") for method in METHODS}
    assert texts["tsm"].replace("tsm_PERSON", "tsn_PERSON").replace("type: tsm", "type: tsn") == texts["tsn"]
    for method, text in texts.items():
        config = load_config(FOLDS / f"{method}.yaml", checks=(kwargs_mistakes, engine_mistakes))
        assert config.lr_scheduler.max_iter == config.val_freq == 130 == 13 * 80 // config.batch_size
        assert text.count("/PERSON/") == 2


@pytest.mark.parametrize("arguments", [[], ["/nowhere"]])
def test_a_wrong_call_is_a_line_and_status_2(arguments: list[str]) -> None:
    done = subprocess.run(
        ["bash", str(FOLDS / "run.sh"), *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: got ")
    assert len(done.stderr.splitlines()) == 1
