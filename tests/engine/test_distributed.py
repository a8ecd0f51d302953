"""Ranks are found as torchrun, Slurm and a plain start tell them, and agree before they start."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import distributed
from engine.distributed import World, check_agreement, first_host, gather_objects, sum_over_ranks
from tests.engine.rank_processes import on_ranks, slurm_variables, torchrun_variables
from utils.errors import UserError

ALONE = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("node_list", "host"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("n[1-3,5],m2", "n1"),
        ("gpu-[007,010-012]", "gpu-007"),
        ("n[3]-ib,m[1-2]", "n3-ib"),
        ("rack[2-3]n[08-09]", "rack2n08"),
        ("a-b.cluster.org", "a-b.cluster.org"),
    ],
)
def test_first_host_of_slurms_short_form(node_list: str, host: str) -> None:
    assert first_host(node_list) == host


def who_is_there(world: World) -> dict[str, Any]:
    everybody = gather_objects({"rank": world.rank, "local": world.local_rank}, world)
    return {
        "everybody": everybody,
        "sums": sum_over_ranks([1.0, float(world.rank)], world),
        "size": world.size,
        "device": str(world.device),
        "address": os.environ.get("MASTER_ADDR"),
        "port": int(os.environ["MASTER_PORT"]) if world.size > 1 else None,
    }


@pytest.mark.parametrize("variables", [torchrun_variables, slurm_variables])
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_find_each_other(variables: Any, ranks: int, tmp_path: Path) -> None:
    for result in on_ranks(who_is_there, tmp_path, ranks=ranks, variables=variables):
        assert result["everybody"] == [{"rank": rank, "local": rank} for rank in range(ranks)]
        assert result["sums"] == [ranks, sum(range(ranks))]
        assert result["size"] == ranks
        if variables is slurm_variables:
            assert result["address"] == "localhost"
            assert 20_000 <= result["port"] < 40_000


def alone(rank: int, ranks: int, port: int) -> dict[str, str]:
    return {}


def one_slurm_task(rank: int, ranks: int, port: int) -> dict[str, str]:
    return {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "5"}


def interactive_shell(rank: int, ranks: int, port: int) -> dict[str, str]:
    """salloc's, which newer Slurm starts as a step of its own."""
    return {**BATCH_OF_FOUR, "SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"}


BATCH_OF_FOUR = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "5"}
SUBMITTED_WITHIN_A_STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}


@pytest.mark.parametrize("step", [{}, SUBMITTED_WITHIN_A_STEP, {"SLURM_STEP_ID": "4294967291"}])
def test_a_batch_script_without_srun_is_refused(step: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/exps/test_slurm.py has the real one."""
    for name, value in {**BATCH_OF_FOUR, **step}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="got one process in a Slurm job of 4 tasks, needs all of them: put `srun`"):
        distributed.start(timeout_minutes=1.0)


@pytest.mark.parametrize("variables", [alone, one_slurm_task, interactive_shell])
def test_a_plain_start_is_a_world_of_one(variables: Any, tmp_path: Path) -> None:
    (result,) = on_ranks(who_is_there, tmp_path, ranks=1, variables=variables)
    assert (result["size"], result["everybody"]) == (1, [{"rank": 0, "local": 0}])
    assert result["sums"] == [1.0, 0.0]


def disagree(world: World) -> list[str]:
    """What a rank is told where rank 2 has another seed and another list."""
    other = world.rank == 2
    try:
        check_agreement({"seed": "7" if other else "0", "val.txt": "b" if other else "a", "same": "x"}, world)
    except UserError as error:
        return list(error.lines)
    return []


def test_ranks_that_differ_are_told_all_of_them(tmp_path: Path) -> None:
    for lines in on_ranks(disagree, tmp_path, ranks=3):
        assert lines[0].startswith("ranks do not agree")
        assert lines[1:] == ["seed: rank 0 has '0', rank 2 has '7'", "val.txt: rank 0 has 'a', rank 2 has 'b'"]
    assert on_ranks(disagree, tmp_path, ranks=1) == [[]]


def test_alone_no_process_group_is_needed() -> None:
    assert gather_objects("x", ALONE) == ["x"]
    assert sum_over_ranks([1.5], ALONE) == [1.5]
    check_agreement({"a": "b"}, ALONE)
    distributed.stop(ALONE)
