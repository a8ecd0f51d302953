"""train.sh / eval.sh as a user calls them; what they start is shown by PYTHON=<a script that prints what it gets>."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shared_material import REPOSITORY


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment folder whose scripts call the project's launcher."""
    folder = tmp_path / "my experiment"
    shutil.copytree(REPOSITORY / "exps" / "demo" / "tsn", folder, ignore=lambda *_: ["events", "results"])
    (folder / "ckpt_best.pth.tar").unlink(missing_ok=True)
    for mode in ("train", "eval"):
        text = (folder / f"{mode}.sh").read_text(encoding="utf-8")
        (folder / f"{mode}.sh").write_text(text.replace("$here/../../", f"{REPOSITORY}/exps/"), encoding="utf-8")
    return folder


@pytest.fixture
def printer(tmp_path: Path) -> Path:
    """Stands where Python stands: prints its Slurm rank and arguments, ends with status 7 if told to."""
    script = tmp_path / "printer.sh"
    script.write_text(
        "#!/bin/sh\n"
        'echo "rank ${SLURM_PROCID-} of ${SLURM_NTASKS-}, local ${SLURM_LOCALID-} on ${SLURMD_NODENAME-},'
        " gpus ${CUDA_VISIBLE_DEVICES-}, cpus ${SLURM_CPUS_PER_TASK-}, in $PWD: $*, ignored"
        ' $(sed -n "s/^SigIgn:.*\\(...\\)$/\\1/p" /proc/self/status)"\n'
        "exit ${STATUS:-0}\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def start(script: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    result = subprocess.run(
        ["bash", str(script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def refusal(script: Path, *arguments: str, **environment: str) -> str:
    """The one line of a refusal."""
    status, out, err = start(script, *arguments, **environment)
    assert (status, out, err.count("\n")) == (2, "", 1), (status, out, err)
    return err.strip()


def no_driver() -> bool:
    return not (shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists())


def slurm_runs() -> bool:
    if not shutil.which("sinfo"):
        return False
    try:
        return subprocess.run(["sinfo", "-h"], capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


needs_slurm = pytest.mark.skipif(not slurm_runs(), reason="no Slurm answers here (set SLURM_CONF to one that runs)")


def test_wrong_arguments_are_refused_in_one_line(experiment: Path) -> None:
    usage = "needs PARTITION NUM_GPUS [options of main.py], e.g. train.sh local 1"
    assert refusal(experiment / "train.sh") == f"error: got 0 arguments, {usage}"
    assert refusal(experiment / "train.sh", "local") == f"error: got 1 arguments, {usage}"
    assert refusal(experiment / "train.sh", "", "1") == f"error: got an empty PARTITION, {usage}"
    for wrong in ("0", "-1", "two", "1.5", "08", "", "999999"):
        line = refusal(experiment / "train.sh", "local", wrong)
        assert line == f"error: got NUM_GPUS '{wrong}', needs a whole number of at least 1"
    line = refusal(experiment / "train.sh", "local", "1", PYTHON="/no/python")
    assert line == "error: PYTHON is '/no/python', which can't be run; run `make env`, or set PYTHON"
    assert "call those" in refusal(REPOSITORY / "exps" / "launch.sh", "local", "1")


def test_an_evaluation_needs_a_checkpoint(experiment: Path, printer: Path) -> None:
    best = experiment / "ckpt_best.pth.tar"
    line = refusal(experiment / "eval.sh", "local", "1")
    assert line == f"error: {best}: no such checkpoint; train first, or add --load-path FILE"
    if not no_driver():
        pytest.skip("the rest needs a machine without GPUs")
    main = f"main.py --config {experiment}/config.yaml --evaluate"
    for options in (["--load-path", "other"], ["--load-path=other"]):
        _, out, _ = start(experiment / "eval.sh", "local", "1", *options, PYTHON=str(printer))
        assert f"{main} {' '.join(options)}," in out
    best.touch()
    _, out, _ = start(experiment / "eval.sh", "local", "1", "--protocol", "center", PYTHON=str(printer))
    assert f"{main} --load-path {best} --protocol center," in out


@pytest.mark.skipif(not no_driver(), reason="needs a machine without GPUs")
def test_this_machine_without_gpus(experiment: Path, printer: Path) -> None:
    status, out, err = start(experiment / "train.sh", "local", "1", "--set", "a=b c", PYTHON=str(printer), STATUS="7")
    assert (status, err) == (7, "no GPU on this machine: 1 CPU process(es)\n")
    assert f"in {REPOSITORY}: main.py --config {experiment}/config.yaml --set a=b c," in out
    status, out, _ = start(experiment / "train.sh", "local", "2", PYTHON=str(printer), STATUS="3")
    assert status == 3
    assert "-m torch.distributed.run --standalone --nproc-per-node 2 main.py" in out


def test_a_partition_without_slurm(experiment: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"  # a PATH without srun
    tools.mkdir()
    for tool in ("bash", "dirname", "python3"):
        (tools / tool).symlink_to(shutil.which(tool) or "/bin/false")
    line = refusal(experiment / "train.sh", "gpu", "1", PATH=str(tools))
    assert line == (
        "error: got PARTITION 'gpu', but there is no Slurm (srun, sinfo) here; needs `local` on this machine"
    )


@needs_slurm
@pytest.mark.slurm
def test_what_slurm_does_not_have_is_refused(experiment: Path) -> None:
    names = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True).stdout.split()
    line = refusal(experiment / "train.sh", "nowhere", "1")
    assert line == f"error: got PARTITION 'nowhere', needs one of: {' '.join(sorted(set(names)))} local"
    line = refusal(experiment / "train.sh", names[0], "9999")
    assert line.startswith(f"error: got NUM_GPUS 9999, partition '{names[0]}' has ")


@needs_slurm
@pytest.mark.slurm
@pytest.mark.parametrize("mode", [["--check"], []])
@pytest.mark.parametrize(("num_gpus", "per_node"), [(1, [1]), (2, [2]), (10, [5, 5])])
def test_one_task_per_gpu(experiment: Path, printer: Path, num_gpus: int, per_node: list[int], mode: list[str]) -> None:
    """By srun and by sbatch. 10 GPUs on nodes of 8 are 5 and 5; a task has a CPU per loader worker and one more."""
    gpus = subprocess.run(["sinfo", "-h", "-N", "-o", "%G"], capture_output=True, text=True, check=True).stdout.split()
    if gpus[0] != "gpu:8" or len(set(gpus)) != 1:
        pytest.skip("needs nodes with 8 GPUs each")
    partition = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    status, out, err = start(experiment / "train.sh", partition, str(num_gpus), *mode, PYTHON=str(printer))
    assert status == 0, err
    tasks = sorted(out.splitlines(), key=lambda line: int(line.split()[1]))
    assert len(tasks) == num_gpus
    for rank, line in enumerate(tasks):
        assert line.startswith(f"rank {rank} of {num_gpus}, local {rank % per_node[0]} on ")
        assert f"gpus {','.join(map(str, range(per_node[0])))}, cpus 2, in {REPOSITORY}: main.py --config" in line
        assert line.endswith("ignored 200")  # USR1, signal 10: a warning may come before Python listens
    assert len({line.split(" on ")[1].split(",")[0] for line in tasks}) == len(per_node)


@needs_slurm
@pytest.mark.slurm
def test_the_status_is_the_jobs(experiment: Path, printer: Path) -> None:
    partition = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    for mode in ([], ["--check"]):
        assert start(experiment / "train.sh", partition, "2", *mode, PYTHON=str(printer), STATUS="3")[0] == 3
