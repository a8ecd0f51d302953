"""Which stops go back into Slurm's queue; tests/exps/test_slurm.py and test_slurm_faults.py have the real ones."""

import signal

import pytest

from engine.requeue import is_for_requeue

JOB = "JobId=5 JobName=tsm JobState=RUNNING Reason=None Requeue=1 BatchFlag=1 ExitCode=0:0 PreemptTime=None"


@pytest.mark.parametrize(
    ("known", "number", "requeued"),
    [
        ({}, signal.SIGUSR1, True),
        ({}, signal.SIGTERM, False),
        ({"PreemptTime=None": "PreemptTime=2026-11-24T20:34:22"}, signal.SIGTERM, True),
        ({"RUNNING Reason=None": "COMPLETING Reason=TimeLimit"}, signal.SIGTERM, True),
        ({"RUNNING Reason=None": "COMPLETING Reason=None"}, signal.SIGTERM, False),
        ({"RUNNING Reason=None": "CANCELLED Reason=TimeLimit"}, signal.SIGTERM, False),
        ({"Requeue=1": "Requeue=0"}, signal.SIGUSR1, False),
        ({"BatchFlag=1": "BatchFlag=0"}, signal.SIGUSR1, False),
    ],
)
def test_what_slurm_does_not_requeue_by_itself(known: dict[str, str], number: int, requeued: bool) -> None:
    """By the job's description as `scontrol --oneliner show job` gives it, and the signal that stopped it."""
    job = JOB
    for ours, theirs in known.items():
        assert ours in job
        job = job.replace(ours, theirs)
    assert is_for_requeue(job, {int(number)}) == requeued
