"""Files that hold a whole model: written, opened and run, by torch.export (.pt2) or ONNX (.onnx, by onnxruntime)."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from utils.errors import UserError

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
Tensors = tuple[torch.Tensor, ...]
Runner = Callable[..., Tensors]  # as the model, on tensors of the CPU; all outputs side by side


class Example(NamedTuple):
    """What a model is traced with: inputs, names of inputs and outputs, whether the batch size stays open."""

    inputs: Tensors
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_batch: bool

    def dynamic_shapes(self) -> tuple[Any, ...] | None:
        """The open dimension of every input, as torch.export wants it: the inputs after the first are one argument."""
        if not self.dynamic_batch:
            return None
        batch = {0: torch.export.Dim("batch")}
        rest = tuple(batch for _ in self.inputs[1:])
        return (batch, rest) if rest else (batch,)


def flat(outputs: Any) -> Tensors:
    """Logits, or logits and a state, side by side."""
    return tuple(torch.utils._pytree.tree_leaves(outputs))


def write_torch_export(model: nn.Module, example: Example, path: Path) -> None:
    """Write `model` as torch.export's archive."""
    torch.export.save(torch.export.export(model, example.inputs, dynamic_shapes=example.dynamic_shapes()), path)


def open_torch_export(path: Path) -> Runner:
    """The archive's model."""
    module = torch.export.load(path).module()
    return lambda *inputs: flat(module(*inputs))


def write_onnx(model: nn.Module, example: Example, path: Path) -> None:
    """Write `model` as one ONNX file with its weights inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter on its own internals
        program = torch.onnx.export(
            model,
            example.inputs,
            dynamo=True,
            verbose=False,
            input_names=example.input_names,
            output_names=example.output_names,
            dynamic_shapes=example.dynamic_shapes(),
        )
    assert program is not None, "torch.onnx.export gave no program"
    program.save(str(path), external_data=False)


def open_onnx(path: Path) -> Runner:
    """The file's model, run by onnxruntime on as many threads as torch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: torch.Tensor) -> Tensors:
        outputs = session.run(None, dict(zip(names, (each.numpy() for each in inputs))))
        return tuple(torch.from_numpy(each) for each in outputs)

    return run


def check_onnx_packages() -> None:
    """Raise `UserError` where the packages for ONNX are missing."""
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(
            f"--to onnx: {', '.join(missing)} not installed: they are the extra `export` of pyproject.toml "
            "(uv pip install onnx onnxscript onnxruntime)"
        )


class FileFormat(NamedTuple):
    """How a kind of file is named, checked for, written, and opened."""

    suffix: str
    check: Callable[[], None]
    write: Callable[[nn.Module, Example, Path], None]
    open: Callable[[Path], Runner]


FORMATS = {
    "torch_export": FileFormat(".pt2", lambda: None, write_torch_export, open_torch_export),
    "onnx": FileFormat(".onnx", check_onnx_packages, write_onnx, open_onnx),
}
