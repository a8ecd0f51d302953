import re
from pathlib import Path

import pytest
import torch

from anal_tools import export_model
from anal_tools.exported_files import ONNX_PACKAGES, open_onnx, open_torch_export
from methods import build_method
from methods.method import Method
from methods.online_tsm import OnlineTSM
from tests.deterministic_weights import fill, relative_difference
from tests.experiments import write_experiment
from utils.config_file import config_as_dict, load_config
from utils.errors import UserError

MODEL = {"backbone": "resnet18", "num_segments": 3, "kwargs": {"width": 8, "shift": "unidirectional"}}


def trained(folder: Path, **model: object) -> tuple[list[str], Method]:
    """Options that name a small experiment and its checkpoint, and the method that lies in it."""
    path = write_experiment(folder, videos=1, model={**MODEL, **model})
    config = load_config(path)
    method = fill(build_method(config.model))
    state = {"model": method.state_dict(), "config": config_as_dict(config), "iteration": 1}
    torch.save({**state, "ema": None, "optimizer": {}, "scaler": {}}, folder / "ckpt.pth.tar")
    return ["--config", str(path), "--load-path", str(folder / "ckpt.pth.tar"), "--runs", "3"], method


def clips(batch: int) -> torch.Tensor:
    return torch.randn(batch, 3, 3, 32, 32, generator=torch.Generator().manual_seed(batch))


def test_a_torch_export_of_open_batch_size_gives_the_methods_logits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, method = trained(tmp_path)
    out = tmp_path / "model.pt2"
    assert export_model.main([*options, "--to", "torch_export", "--out", str(out), "--dynamic-batch"]) == 0
    run = open_torch_export(out)
    for batch in (1, 2, 5):
        assert relative_difference(run(clips(batch))[0], method(clips(batch))) <= 1e-6
    text = "".join(capsys.readouterr())
    assert re.search(r"batch 1: largest difference / largest value \d\.\de[-+]\d\d", text)
    assert re.search(r"batch 3: largest difference", text)
    assert re.search(r"latency of 1, median of 3 on \d+ threads: torch [\d.]+ ms, torch_export [\d.]+ ms", text)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [(1,), (1, 2, 5)], ids=["fixed", "dynamic"])
def test_an_onnx_file_gives_the_methods_logits(tmp_path: Path, batches: tuple[int, ...]) -> None:
    pytest.importorskip("onnxruntime")
    options, method = trained(tmp_path, type="tsn", kwargs={"width": 8})
    out = tmp_path / "model.onnx"
    dynamic = ["--dynamic-batch"] if len(batches) > 1 else []
    assert export_model.main([*options, "--to", "onnx", "--out", str(out), *dynamic]) == 0
    run = open_onnx(out)
    for batch in batches:
        assert relative_difference(run(clips(batch))[0], method(clips(batch))) <= 1e-5
    assert [path.name for path in tmp_path.glob("*.onnx*")] == ["model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(("to", "suffix"), [("onnx", ".onnx"), ("torch_export", ".pt2")])
def test_an_online_file_goes_on_from_frame_to_frame(tmp_path: Path, to: str, suffix: str) -> None:
    pytest.importorskip("onnxruntime")
    options, method = trained(tmp_path)
    out = tmp_path / f"model{suffix}"
    assert export_model.main([*options, "--to", to, "--out", str(out), "--online"]) == 0
    run = (open_onnx if to == "onnx" else open_torch_export)(out)
    with torch.inference_mode():
        _, state = OnlineTSM(method)(clips(1)[:, 0])
    outputs = (torch.empty(0), *(torch.zeros_like(each) for each in state))
    logits = []
    for frame in clips(1).unbind(dim=1):
        outputs = run(frame, *outputs[1:])
        logits.append(outputs[0])
    assert relative_difference(torch.stack(logits).mean(dim=0), method(clips(1))) <= 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onnx", "--out", "model.pt2"], r"--out model\.pt2: needs a name that ends in \.onnx for onnx"),
        (["--to", "torch_export", "--out", "m.pt2", "--online"], "online TSM: got shift bidirectional, needs unidir"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    options, _ = trained(tmp_path, kwargs={"width": 8})
    with pytest.raises(UserError, match=message):
        export_model.main([*options, *arguments])


def test_rounded_weights_are_above_the_tolerance() -> None:
    """A file that kept its weights in bfloat16 would be refused."""
    model, example = torch.nn.Linear(8, 4), (torch.randn(1, 8),)
    rounded = torch.nn.Linear(8, 4)
    rounded.load_state_dict({key: value.bfloat16().float() for key, value in model.state_dict().items()})
    run = lambda *inputs: (rounded(*inputs).detach(),)  # noqa: E731
    difference = export_model.largest_difference(model, run, example)
    assert export_model.TOLERANCE < difference < 0.1


def test_the_extra_of_pyproject_is_what_onnx_needs() -> None:
    text = (Path(export_model.__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^export = \[(.*)\]$", text, re.MULTILINE)
    assert extra
    assert set(re.findall(r'"(\w+)', extra[1])) == set(ONNX_PACKAGES)
