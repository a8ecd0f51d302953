"""Weights under torchvision's file names: found, fetched or asked for, and loaded whole or not at all."""

import zipfile
from pathlib import Path

import torch
from torch import nn
from torchvision.models import get_model_weights

from utils.errors import UserError

CLASSIFIERS = ("fc.", "classifier.")
ADDED = ".non_local."  # what a method adds to the blocks has no ImageNet weights: it starts as the method made it

# What a file may be called, the first one found counts; torchvision's current name is added at run time.
FILE_NAMES: dict[str, tuple[str, ...]] = {
    "resnet18": ("resnet18-5c106cde.pth",),
    "resnet34": ("resnet34-333f7ec4.pth",),
    "resnet50": ("resnet50-19c8e357.pth",),
    "resnet101": ("resnet101-5d3b4d8f.pth",),
    "resnet152": ("resnet152-b121ed2d.pth",),
    "resnext50_32x4d": ("resnext50_32x4d-7cdf4587.pth",),
    "resnext101_32x8d": ("resnext101_32x8d-8ba56ff5.pth",),
    "wide_resnet50_2": ("wide_resnet50_2-95faca4d.pth",),
    "wide_resnet101_2": ("wide_resnet101_2-32ee1156.pth",),
    "mobilenetv2": ("mobilenet_v2_imagenet.pth",),
}
TORCHVISION_NAMES = {"mobilenetv2": "mobilenet_v2"}
KINDS = {"IMAGENET1K_V1": "ImageNet", "KINETICS400_V1": "Kinetics-400"}


def _torchvision_weights(backbone: str) -> tuple[str, str]:
    """What the backbone's first published weights are of, and their address."""
    published = get_model_weights(TORCHVISION_NAMES.get(backbone, backbone)).__members__
    name = next(name for name in KINDS if name in published)
    return KINDS[name], published[name].value.url


def find_weights(backbone: str, folder: Path) -> Path:
    """The backbone's file in `folder` (of ImageNet, or of Kinetics-400), fetched as torchvision does if it's missing.

    Raises `UserError` that says which file to put where if it can't be fetched.
    """
    kind, url = _torchvision_weights(backbone)
    current = url.rsplit("/", 1)[-1]
    names = tuple(dict.fromkeys((*FILE_NAMES.get(backbone, ()), current)))
    for name in names:
        if (folder / name).is_file():
            return folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(folder / current), hash_prefix=current.rsplit("-", 1)[-1][:8])
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"pretrained: no {kind} weights for {backbone} and no way to fetch them ({error}): "
            f"put {' or '.join(names)} into {folder}, or set common.model.pretrained to a path or to False"
        ) from error
    return folder / current


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file (weights only: nothing in it is run); `UserError` where it can't be read."""
    if not path.is_file():
        raise UserError(f"{path}: no such weights file; correct common.model.pretrained")
    try:
        if zipfile.is_zipfile(path):
            _check_records(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged or foreign file
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path}: not a file of weights that can be loaded safely ({reason})") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: got a {type(loaded).__name__}, needs a dictionary of tensors")
    return loaded


def _check_records(path: Path) -> None:
    """Compare the checksums that the archive holds, which torch itself does not look at."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"damaged at {broken}")


def adapt_first_conv(weight: torch.Tensor, in_channels: int) -> torch.Tensor:
    """First-convolution weights (O, 3, h, w) for another input: the mean over colours, repeated (TSN, section 3.2)."""
    return weight.mean(dim=1, keepdim=True).expand(-1, in_channels, -1, -1).contiguous()


def load_image_weights(network: nn.Module, state_dict: dict[str, torch.Tensor], *, origin: str) -> None:
    """Load torchvision's `state_dict` into a backbone, strictly, its classifier aside.

    The first convolution is adapted where the network's input has another number of channels. `origin` names the
    file in messages. Raises `UserError` that lists what does not fit; nothing is loaded then.
    """
    weights = {key: value for key, value in state_dict.items() if not str(key).startswith(CLASSIFIERS)}
    wanted = network.state_dict()
    (first_conv,) = (f"{name}.weight" for name, module in network.named_modules() if module is network.first_conv)
    in_channels = wanted[first_conv].shape[1]
    given = weights.get(first_conv)
    if isinstance(given, torch.Tensor) and given.ndim == 4 and given.shape[1] != in_channels:
        weights[first_conv] = adapt_first_conv(weights[first_conv], in_channels)
    weights.update({key: value for key, value in wanted.items() if ADDED in key and key not in weights})
    faults = tensor_faults(weights, wanted)
    if faults:
        raise UserError(f"{origin}: does not fit the backbone; nothing was loaded", *faults)
    network.load_state_dict(weights)


def tensor_faults(weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], *, listed: int = 8) -> list[str]:
    """Lines on tensors that are missing, left over or of another shape; the first `listed` of them."""
    faults = [f"  {key}: missing" for key in wanted if key not in weights and not key.endswith("num_batches_tracked")]
    faults += [f"  {key}: left over" for key in weights if key not in wanted]
    for key in wanted:
        if key not in weights:
            continue
        if not isinstance(weights[key], torch.Tensor):
            faults.append(f"  {key}: got a {type(weights[key]).__name__}, needs a tensor")
        elif weights[key].shape != wanted[key].shape:
            faults.append(f"  {key}: got shape {tuple(weights[key].shape)}, needs {tuple(wanted[key].shape)}")
    return faults if len(faults) <= listed else [*faults[:listed], f"  and {len(faults) - listed} more"]
