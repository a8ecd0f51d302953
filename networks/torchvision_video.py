"""torchvision's video models as networks: built there, their classifier taken off, their Kinetics-400 files loaded."""

from typing import NamedTuple

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from networks.pretrained import tensor_faults
from networks.resnet3d import VideoNetwork
from utils.errors import UserError


class Model(NamedTuple):
    """`head`: torchvision's name of the classifier; `num_frames`, `size`: of the clips it was published with.

    `only_frames`, `only_size`: its position codes or its head take no other (`size`: no smaller for S3D). `maps`: the
    module of its last feature maps, where it has maps and not tokens.
    """

    head: str
    num_frames: int
    size: int
    only_frames: bool = False
    only_size: bool = False
    maps: str = ""


MODELS = {
    "r3d_18": Model("fc", 16, 112, maps="layer4"),
    "mc3_18": Model("fc", 16, 112, maps="layer4"),
    "r2plus1d_18": Model("fc", 16, 112, maps="layer4"),
    "s3d": Model("classifier.1", 128, 224, maps="features"),
    "mvit_v1_b": Model("head.1", 16, 224, only_frames=True, only_size=True),
    "mvit_v2_s": Model("head.1", 16, 224, only_frames=True, only_size=True),
    "swin3d_t": Model("head", 32, 224),
}
SMALLEST_S3D = (14, 224)  # frames, side: what its last pooling needs


class TorchvisionVideo(VideoNetwork):
    """Frames (N, 3, T, H, W) -> features (N, feature_dim) of torchvision's model `name`, at one position.

    `mean` and `std` are those of its Kinetics-400 weights.
    """

    def __init__(self, *, name: str) -> None:
        super().__init__()
        self.name = name
        self.published = MODELS[name]
        self.model = get_model(name, weights=None)
        head = self.model.get_submodule(self.published.head)
        assert isinstance(head, nn.Linear | nn.Conv3d), f"{name}: the classifier is a {type(head).__name__}"
        self.feature_dim = head.weight.shape[1]
        setattr(self.model, self.published.head.split(".")[0], nn.Identity())
        preset = get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined]
        self.mean, self.std = tuple(preset.mean), tuple(preset.std)

    def positions(self, frames: torch.Tensor) -> torch.Tensor:
        """Features (N, 1, feature_dim)."""
        self._check(frames.shape[2], frames.shape[3], frames.shape[4])
        return self.model(frames).unsqueeze(1)

    def last_maps(self) -> list[nn.Module]:
        """The module with the last feature maps; none for the transformers."""
        return [self.model.get_submodule(self.published.maps)] if self.published.maps else []

    def _check(self, num_frames: int, height: int, width: int) -> None:
        """`UserError` for a clip that the model can't take."""
        wanted, least = self.published, SMALLEST_S3D if self.name == "s3d" else (1, 1)
        got = f"{self.name}: got {num_frames} frames of {height}x{width}"
        if wanted.only_size and (num_frames, height, width) != (wanted.num_frames, wanted.size, wanted.size):
            raise UserError(
                f"{got}, needs {wanted.num_frames} of {wanted.size}x{wanted.size}: set num_frames and input_size, and "
                "test_resize too for protocols of full resolution"
            )
        if num_frames < least[0] or min(height, width) < least[1]:
            raise UserError(
                f"{got}, needs at least {least[0]} of {least[1]}x{least[1]}: raise num_frames or input_size"
            )


def load_video_weights(
    network: TorchvisionVideo, classifier: nn.Linear, state_dict: dict[str, torch.Tensor], *, origin: str
) -> bool:
    """Load torchvision's `state_dict` into network and classifier; returns False where the classifier was left out.

    It is left out, and starts anew, where the file has another number of classes. `origin` names the file in
    messages. Raises `UserError` that lists what does not fit; nothing is loaded then.
    """
    weights = {f"model.{key}": value for key, value in state_dict.items()}
    head = {name: weights.pop(f"model.{network.published.head}.{name}", None) for name in ("weight", "bias")}
    faults = tensor_faults(weights, network.state_dict())
    if faults:
        raise UserError(f"{origin}: does not fit {network.name}; nothing was loaded", *faults)
    fitting = {
        name: value.flatten(1) if value.ndim == 5 else value for name, value in head.items() if value is not None
    }
    network.load_state_dict(weights)
    if tensor_faults(fitting, classifier.state_dict()):
        return False
    classifier.load_state_dict(fitting)
    return True
