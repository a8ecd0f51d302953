"""Files of weights as peers write them, and files that want more than to be read."""

import argparse
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from networks.weights_file import Inert, read_weights_file
from utils.errors import UserError


class Attack:
    """Writes a file when it is unpickled by a reader that runs what it reads."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (eval, (f"open({str(self.target)!r}, 'w').write('run')",))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_weights_file(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: ")
    return line


def caffe2_file(path: Path, blobs: dict) -> Path:
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    return path


def test_a_caffe2_pickle_of_arrays_is_read(tmp_path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = caffe2_file(tmp_path / "model.pkl", {"pred_w": weight, "lr": np.float32(0.1), "name": "net", "iter": 3})
    blobs = read_weights_file(path)["blobs"]
    assert torch.equal(blobs["pred_w"], torch.from_numpy(weight))
    assert blobs["name"] == "net"


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    # numpy.core.multiarray._reconstruct(ndarray, (0,), 'b') and its state, with bytes as a text of Python 2.
    stream = (
        b"\x80\x02}q\x00U\x05blobsq\x01}q\x02U\x06pred_wq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05"
        b"K\x00\x85q\x06U\x01bq\x07\x87q\x08Rq\t(K\x01K\x02\x85q\ncnumpy\ndtype\nq\x0bU\x02f4q\x0cK\x00K\x01\x87q\rRq\x0e"
        b"(K\x03U\x01<q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\x89U\x08\x00\x00\x80?\x00\x00\x00@q\x11tq\x12bss."
    )
    (tmp_path / "old.pkl").write_bytes(stream)
    assert read_weights_file(tmp_path / "old.pkl")["blobs"]["pred_w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"blobs": {"pred_w": Attack(trace)}}, protocol=protocol))
    assert "refused: a pickle may hold arrays and plain values only (it names builtins.eval" in (
        refusal(tmp_path / "model.pkl").replace("__builtin__", "builtins")
    )
    assert not trace.exists()


@pytest.mark.parametrize("module", ["os", "posix", "subprocess", "numpy", "numpy.core.multiarray", "builtins"])
def test_a_pickle_names_nothing_but_arrays(tmp_path: Path, module: str) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02c" + module.encode() + b"\nsystem\n(U\x04truetR.")
    assert f"it names {module}.system" in refusal(tmp_path / "model.pkl")


def test_a_cut_pickle_is_refused(tmp_path: Path) -> None:
    path = caffe2_file(tmp_path / "model.pkl", {"pred_w": np.ones(3, np.float32)})
    whole = path.read_bytes()
    for length in range(2, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        assert "refused" in refusal(path), length


@pytest.mark.parametrize("legacy", [False, True])
def test_settings_and_records_beside_the_weights_do_not_keep_a_file_from_being_read(
    tmp_path: Path, legacy: bool
) -> None:
    contents = {
        "state_dict": OrderedDict(weight=torch.ones(2)),
        "best_prec1": np.float64(70.5),
        "history": np.arange(3),
        "args": argparse.Namespace(lr=0.1, names=["a"]),
    }
    torch.save(contents, tmp_path / "official.pth.tar", _use_new_zipfile_serialization=not legacy)
    loaded = read_weights_file(tmp_path / "official.pth.tar")
    assert torch.equal(loaded["state_dict"]["weight"], torch.ones(2))
    assert loaded["best_prec1"] == 70.5
    assert loaded["args"].lr == 0.1


def test_a_malicious_torch_file_runs_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(2)}, "meta": Attack(tmp_path / "trace")}, tmp_path / "bad.pth")
    assert "can be loaded safely" in refusal(tmp_path / "bad.pth")
    assert not (tmp_path / "trace").exists()


def test_what_stands_in_for_a_peers_class_does_nothing() -> None:
    assert Inert(1, 2, key=3) == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such weights file" in refusal(tmp_path / "gone.pkl")
