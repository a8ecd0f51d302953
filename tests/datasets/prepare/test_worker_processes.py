import os
import signal
import time
from collections.abc import Iterator

from datasets.prepare.worker_processes import run_in_processes


def behave(task: str) -> Iterator[str | None]:
    """Work that goes the way its name says."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "leave":
        os._exit(3)
    if task == "hang":
        time.sleep(600)
    if task == "slow":  # slower than the patience, with signs of life
        for _ in range(5):
            time.sleep(0.6)
            yield None
    yield f"{task} done"


def test_a_crash_or_a_hang_costs_its_own_task_only() -> None:
    tasks = ["one", "crash", "two", "hang", "slow", "leave", "three"]
    outcomes = {outcome.task: outcome for outcome in run_in_processes(behave, tasks, workers=2, patience=2.0)}
    assert sorted(outcomes) == sorted(tasks)
    assert {task: outcome.result for task, outcome in outcomes.items() if outcome.failure is None} == {
        task: f"{task} done" for task in ("one", "two", "three", "slow")
    }
    assert outcomes["crash"].failure == "its process crashed: SIGSEGV"
    assert outcomes["leave"].failure == "its process ended with status 3"
    assert outcomes["hang"].failure == "no progress for 2 s"


def test_stopping_early_ends_the_processes() -> None:
    start = time.monotonic()
    outcomes = run_in_processes(behave, ["one", "hang", "hang"], workers=2, patience=600.0)
    assert next(outcomes).task == "one"
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 60


def test_nothing_to_do() -> None:
    assert list(run_in_processes(behave, [], workers=4, patience=1.0)) == []
