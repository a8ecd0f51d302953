"""A function on several ranks: real processes, Gloo on loopback, forked from one that has imported torch already."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import distributed
from tests.experiments import environment

SECONDS = 120


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def torchrun_variables(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torchrun tells a rank."""
    world = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in world.items()}


def slurm_variables(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What srun tells a task; the port follows from the job."""
    task = {"PROCID": rank, "NTASKS": ranks, "LOCALID": rank, "JOB_ID": port, "STEP_ID": 0, "NTASKS_PER_NODE": ranks}
    return {"SLURM_STEP_NODELIST": "localhost", **{f"SLURM_{name}": str(value) for name, value in task.items()}}


def _rank(function: Callable[..., Any], arguments: tuple[Any, ...], variables: dict[str, str], result: str) -> None:
    os.environ.clear()
    os.environ.update({**environment(), **variables})
    torch.set_num_threads(1)
    world = distributed.start(timeout_minutes=1.0)
    torch.save(function(world, *arguments), result)
    distributed.stop(world)


def on_ranks(
    function: Callable[..., Any],
    folder: Path,
    *arguments: Any,
    ranks: int = 2,
    variables: Callable[[int, int, int], dict[str, str]] = torchrun_variables,
) -> list[Any]:
    """What `function(world, *arguments)` returns on each of `ranks` ranks; tensors and plain values travel."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["main"])
    port = free_port()
    results = [folder / f"result of rank {rank} of {ranks}, port {port}" for rank in range(ranks)]
    processes = [
        context.Process(target=_rank, args=(function, arguments, variables(rank, ranks, port), str(result)))
        for rank, result in enumerate(results)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        process.kill()
        process.join()
    assert [process.exitcode for process in processes] == [0] * ranks
    return [torch.load(result, weights_only=True) for result in results]
