"""Back into Slurm's queue after a stop that Slurm does not requeue by itself: a time limit, a preemption with grace."""

import os
import re
import signal
import subprocess

from engine.distributed import World, gather_objects
from engine.log import LOGGER
from engine.signals import StopRequest


def _scontrol(*arguments: str) -> tuple[bool, str]:
    try:
        done = subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, (done.stdout or done.stderr).strip()


def is_for_requeue(job: str, signals: set[int]) -> bool:
    """Whether a job that `scontrol show job` describes as `job`, stopped by `signals`, must ask to be requeued.

    SIGUSR1 announces a time limit or a preemption. SIGTERM does where Slurm has set a time for the preemption, or is
    the time limit itself, whose warning came before anybody listened; else it comes from `scontrol requeue` (Slurm is
    at it already), `scancel`, or a person.
    """
    known = dict(re.findall(r"(\w+)=(\S*)", job))
    if known.get("BatchFlag") != "1" or known.get("Requeue") != "1":
        return False
    if known.get("JobState") != "RUNNING":
        return known.get("JobState") in ("COMPLETING", "TIMEOUT") and known.get("Reason") == "TimeLimit"
    preempted = known.get("PreemptTime", "None") not in ("None", "Unknown")
    return signal.SIGUSR1 in signals or (signal.SIGTERM in signals and preempted)


def requeue(stop: StopRequest, world: World) -> None:
    """Requeue this Slurm job where it was stopped for Slurm's sake; all ranks wait, and call it after their save.

    The call ends the ranks, so nobody leaves before it was made. Without Slurm nothing is done.
    """
    signals = {number for number in gather_objects(int(stop.signal or 0), world) if number}
    job = os.environ.get("SLURM_JOB_ID")
    if job is not None and "SLURM_PROCID" in os.environ and world.rank == 0:
        found, shown = _scontrol("--oneliner", "show", "job", job)
        if found and is_for_requeue(shown, signals):
            LOGGER.info("job %s goes back into the queue", job)
            done, message = _scontrol("requeue", job)
            if not done:
                LOGGER.info("Slurm did not requeue job %s (%s): start again to go on", job, message)
    gather_objects(None, world)
