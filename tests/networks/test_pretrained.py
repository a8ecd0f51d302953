"""Weights files: found, read, adapted, loaded whole or not at all."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights

from networks import IMAGE_NETWORKS
from networks.mobilenet import MobileNetV2
from networks.pretrained import FILE_NAMES, adapt_first_conv, find_weights, load_image_weights, read_state_dict
from networks.resnet import ResNet
from utils.errors import UserError

UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address is asked of a proxy that isn't there."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, UNREACHABLE)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_state_dict(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_every_image_network_has_file_names_with_torchvisions_first_release() -> None:
    assert set(IMAGE_NETWORKS) <= FILE_NAMES.keys()
    assert "resnet50-19c8e357.pth" in FILE_NAMES["resnet50"]


@pytest.mark.parametrize("name", ["resnet50-19c8e357.pth", "resnet50-0676ba61.pth"])
def test_the_file_in_the_folder_is_found(tmp_path: Path, name: str, no_network: None) -> None:
    (tmp_path / "resnet18-5c106cde.pth").touch()
    (tmp_path / name).touch()
    assert find_weights("resnet50", tmp_path) == tmp_path / name


def test_the_published_name_wins_over_the_current_one(tmp_path: Path, no_network: None) -> None:
    for name in ("mobilenet_v2-b0353104.pth", "mobilenet_v2_imagenet.pth"):
        (tmp_path / name).touch()
    assert find_weights("mobilenetv2", tmp_path).name == "mobilenet_v2_imagenet.pth"


@pytest.mark.parametrize(
    ("backbone", "names"),
    [("resnet50", "resnet50-19c8e357.pth or resnet50-0676ba61.pth"),
     ("mobilenetv2", "mobilenet_v2_imagenet.pth or mobilenet_v2-b0353104.pth")],
)  # fmt: skip
def test_no_file_and_no_network_says_which_file_to_put_where(
    tmp_path: Path, backbone: str, names: str, no_network: None
) -> None:
    folder = tmp_path / "pretrained"
    with pytest.raises(UserError) as caught:
        find_weights(backbone, folder)
    (line,) = caught.value.lines
    assert line.startswith(f"pretrained: no ImageNet weights for {backbone} and no way to fetch them (")
    assert line.endswith(f": put {names} into {folder}, or set common.model.pretrained to a path or to False")
    assert list(folder.iterdir()) == [], "a half fetched file was left"


@pytest.mark.parametrize("backbone", sorted(IMAGE_NETWORKS))
def test_fetched_files_carry_the_start_of_their_checksum(backbone: str) -> None:
    """What the fetch verifies is the eight digits in torchvision's file name."""
    url = get_model_weights({"mobilenetv2": "mobilenet_v2"}.get(backbone, backbone)).IMAGENET1K_V1.url
    assert re.fullmatch(r"https://download\.pytorch\.org/models/\w+-[0-9a-f]{8}\.pth", url)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.pth") == "no such weights file; correct common.model.pretrained"
    assert refusal(tmp_path).startswith("no such weights file")


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02", b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_a_foreign_file_is_the_users_mistake(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.pth"
    path.write_bytes(content)
    assert re.match(r"not a file of weights that can be loaded safely \(.+\)", refusal(path))


def cuts(size: int) -> Iterator[int]:
    """Where a file of `size` bytes is cut off: often at its ends, some forty times in between."""
    yield from (*range(40), *range(40, size, size // 40), *range(size - 20, size))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, zipped: bool) -> None:
    whole, path = tmp_path / "whole.pth", tmp_path / "cut.pth"
    torch.save({"a": torch.arange(2000.0), "b": torch.ones(3)}, whole, _use_new_zipfile_serialization=zipped)
    content = whole.read_bytes()
    assert read_state_dict(whole)["a"][1999] == 1999
    for size in cuts(len(content)):
        path.write_bytes(content[:size])
        assert "can be loaded safely" in refusal(path), size


def test_one_wrong_bit_is_found_by_the_archives_checksum(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(2000.0)}, path)
    with zipfile.ZipFile(path) as archive:
        (record,) = (info for info in archive.infolist() if info.filename.endswith("data/0"))
    content = bytearray(path.read_bytes())
    content[record.header_offset + 4000] ^= 1
    path.write_bytes(content)
    assert refusal(path) == f"not a file of weights that can be loaded safely (damaged at {record.filename})"


class Payload:
    """What a hostile pickle does when it is read: it leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.trace,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "hostile.pth"
    torch.save({"a": Payload(trace)}, path)
    assert "can be loaded safely" in refusal(path)
    assert not trace.exists()


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    assert refusal(tmp_path / "list.pth") == "got a list, needs a dictionary of tensors"


def test_the_first_convolution_becomes_the_mean_over_colours() -> None:
    weight = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1).expand(4, 3, 7, 7)
    for in_channels in (1, 2, 10, 15):
        adapted = adapt_first_conv(weight, in_channels)
        assert torch.equal(adapted, torch.full((4, in_channels, 7, 7), 3.0))


@pytest.mark.parametrize("in_channels", [10, 15])
@pytest.mark.parametrize("network_type", ["resnet", "mobilenet"])
def test_weights_for_colours_load_into_other_inputs(network_type: str, in_channels: int) -> None:
    build = {
        "resnet": lambda n: ResNet(depth=18, width=8, in_channels=n),
        "mobilenet": lambda n: MobileNetV2(in_channels=n),
    }
    colours, other = build[network_type](3), build[network_type](in_channels)
    load_image_weights(other, colours.state_dict(), origin="file")
    mean = colours.first_conv.weight.mean(dim=1)
    for channel in range(in_channels):
        assert torch.equal(other.first_conv.weight[:, channel], mean)
    rest = {key for key, value in other.state_dict().items() if value is not other.first_conv.weight}
    assert (
        sum(torch.equal(other.state_dict()[key], value) for key, value in colours.state_dict().items()) == len(rest) - 1
    )


def test_faults_are_listed_and_nothing_is_loaded() -> None:
    network = ResNet(depth=18, width=8)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    weights = {key: torch.full_like(value, 7) for key, value in before.items()}
    del weights["bn1.bias"]
    weights |= {"extra": torch.ones(1), "layer1.0.conv1.weight": torch.ones(2, 3), "conv1.weight": torch.ones(3)}
    weights["bn1.weight"] = [1, 2]
    weights[0] = torch.ones(1)
    with pytest.raises(UserError) as caught:
        load_image_weights(network, weights, origin="file.pth")
    assert caught.value.lines == (
        "file.pth: does not fit the backbone; nothing was loaded",
        "  bn1.bias: missing",
        "  extra: left over",
        "  0: left over",
        "  conv1.weight: got shape (3,), needs (8, 3, 7, 7)",
        "  bn1.weight: got a list, needs a tensor",
        "  layer1.0.conv1.weight: got shape (2, 3), needs (8, 8, 3, 3)",
    )
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_many_faults_are_cut_short() -> None:
    network = ResNet(depth=18, width=8)
    with pytest.raises(UserError) as caught:
        load_image_weights(network, ResNet(depth=18, width=16).state_dict(), origin="file.pth")
    # 20 convolutions and 20 batch norms of four tensors each differ; 8 are listed
    assert len(caught.value.lines) == 10
    assert caught.value.lines[-1] == "  and 92 more"


def test_the_classifier_and_the_counters_of_batches_may_be_absent() -> None:
    source, network = ResNet(depth=18, width=8), ResNet(depth=18, width=8)
    weights = {key: value for key, value in source.state_dict().items() if not key.endswith("num_batches_tracked")}
    load_image_weights(network, {**weights, "fc.weight": torch.ones(1000, 64), "fc.bias": torch.ones(1000)}, origin="f")
    assert torch.equal(network.conv1.weight, source.conv1.weight)
