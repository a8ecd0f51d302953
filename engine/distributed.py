"""Ranks: found in the environment of torchrun or Slurm, or one plain process; and the few collectives we use."""

import os
import re
import socket
import subprocess
import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from utils.errors import UserError

FIRST_PORT, PORTS = 20_000, 20_000
INTERACTIVE_STEP, BATCH_STEP = 0xFFFF_FFFA, 0xFFFF_FFFB  # Slurm's numbers for what srun did not start


@dataclass(frozen=True)
class World:
    """This process among its peers; `size` 1: no process group."""

    rank: int
    size: int
    local_rank: int
    device: torch.device


def first_host(node_list: str) -> str:
    """The first name of Slurm's short form: `n[1-3,5],m2` -> `n1`; `rack[2-3]n[08-09]` -> `rack2n08`."""
    names = re.match(r"(?:[^,\[\]]|\[[^\]]+\])+", node_list)
    assert names, f"unreadable SLURM_JOB_NODELIST {node_list!r}"
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", names[0])


def _address(node: str) -> str:
    """What a Slurm node can be reached by: its name, or where that is no host's, the address that Slurm knows."""
    try:
        socket.getaddrinfo(node, None)
        return node
    except OSError:
        known = subprocess.run(["scontrol", "show", "node", node], capture_output=True, text=True, check=False).stdout
        address = re.search(r"NodeAddr=(\S+)", known)
        return address[1] if address else node


def _tasks_of_step() -> int:
    """How many tasks srun has started along with this process; 1 where it was not srun that started it.

    A batch script is told the job's SLURM_NTASKS and a SLURM_PROCID too, and where it was submitted from within a
    step, even that step's variables. Raises `UserError` for one process in a batch script of several tasks: it would
    wait for the others. An interactive shell (salloc) may run what it likes alone.
    """
    env = os.environ
    tasks, step = int(env.get("SLURM_NTASKS", 1)), int(env.get("SLURM_STEP_ID", BATCH_STEP))
    if "SLURM_PROCID" not in env or tasks == 1 or step == INTERACTIVE_STEP:
        return 1
    if step < INTERACTIVE_STEP and int(env.get("SLURM_STEP_NUM_TASKS", tasks)) == tasks:
        return tasks
    raise UserError(
        f"got one process in a Slurm job of {tasks} tasks, needs all of them: put `srun` in front of python in the "
        "batch script, or let train.sh PARTITION NUM_GPUS submit it; for one process alone: #SBATCH --ntasks=1"
    )


def _environment() -> tuple[int, int, int]:
    """(rank, size, local rank), with MASTER_ADDR and MASTER_PORT set where Slurm started several tasks."""
    env = os.environ
    if "WORLD_SIZE" in env:
        return int(env["RANK"]), int(env["WORLD_SIZE"]), int(env.get("LOCAL_RANK", 0))
    size = _tasks_of_step()
    if size == 1:
        return 0, 1, 0
    job_step = f"{env['SLURM_JOB_ID']}.{env['SLURM_STEP_ID']}.{env.get('SLURM_RESTART_COUNT', 0)}"
    if "MASTER_ADDR" not in env:
        env["MASTER_ADDR"] = _address(first_host(env.get("SLURM_STEP_NODELIST") or env["SLURM_JOB_NODELIST"]))
    env.setdefault("MASTER_PORT", str(FIRST_PORT + zlib.crc32(job_step.encode()) % PORTS))
    env["RANK"], env["WORLD_SIZE"] = env["SLURM_PROCID"], str(size)
    return int(env["SLURM_PROCID"]), size, int(env.get("SLURM_LOCALID", 0))


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Slurm may show each task its own GPU only.
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def start(timeout_minutes: float) -> World:
    """Join the process group (NCCL on GPUs, Gloo on CPUs); a plain `python` is a world of one without any.

    A rank that does not answer within `timeout_minutes` ends the run; raises `UserError` where they don't all meet.
    """
    rank, size, local_rank = _environment()
    device = _device(local_rank)
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or size)
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local_size))
    world = World(rank=rank, size=size, local_rank=local_rank, device=device)
    if size > 1:
        _meet(world, timeout_minutes)
    return world


def _meet(world: World, timeout_minutes: float) -> None:
    try:
        dist.init_process_group(
            "nccl" if world.device.type == "cuda" else "gloo",
            timeout=timedelta(minutes=timeout_minutes),
            device_id=world.device if world.device.type == "cuda" else None,
        )
    except dist.DistError as error:
        address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"port {port} of {address} is taken: end what listens there, or set MASTER_PORT to a free one "
                "(torchrun: --master-port)"
            ) from error
        raise UserError(
            f"rank {world.rank} of {world.size} did not meet the others at {address}:{port} within "
            f"{timeout_minutes:g} minutes (common.timeout): has every rank started, and does that address answer? "
            f"({str(error).splitlines()[0].rstrip('.')})"
        ) from error


def stop(world: World) -> None:
    """Leave the process group."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def gather_objects(value: Any, world: World) -> list[Any]:
    """Every rank's `value` (picklable), in order of rank, on every rank."""
    if world.size == 1:
        return [value]
    gathered: list[Any] = [None] * world.size
    dist.all_gather_object(gathered, value)
    return gathered


def sum_over_ranks(values: list[float], world: World) -> list[float]:
    """Element-wise sums of a list that is equally long on all ranks."""
    if world.size == 1:
        return values
    sums = torch.tensor(values, dtype=torch.float64, device=world.device)
    dist.all_reduce(sums)
    return sums.tolist()


def check_agreement(fingerprint: dict[str, str], world: World) -> None:
    """Refuse to start where ranks differ in config, lists or seed: `UserError` on all ranks, with the key."""
    ours = gather_objects(fingerprint, world)
    lines = []
    for key in sorted(set().union(*ours)):
        for rank, theirs in enumerate(ours):
            if theirs.get(key) != ours[0].get(key):
                lines.append(f"{key}: rank 0 has {ours[0].get(key)!r}, rank {rank} has {theirs.get(key)!r}")
                break
    if lines:
        raise UserError("ranks do not agree; start all of them with the same files and code:", *lines)


def raise_together(lines: tuple[str, ...], world: World) -> None:
    """Raise `UserError` on all ranks with the lines of the first rank that has any."""
    found = [theirs for theirs in gather_objects(lines, world) if theirs]
    if found:
        raise UserError(*found[0])
