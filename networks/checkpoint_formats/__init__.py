"""Other systems' checkpoints: whose a file's tensors are, by their keys, and their names in ours and back.

imported = recognise(tensors)  # imported.tensors are under our keys
"""

from networks.checkpoint_formats.checkpoint_format import Described, Format, Options
from networks.checkpoint_formats.mmaction2 import MMACTION2
from networks.checkpoint_formats.official_tsm import OFFICIAL_TSM
from networks.checkpoint_formats.ours import OURS
from networks.checkpoint_formats.pyslowfast import PYSLOWFAST
from networks.checkpoint_formats.pytorchvideo import PYTORCHVIDEO
from networks.checkpoint_formats.torchvision import TORCHVISION

# The first one that fits best counts; mmaction2's and our own keys both start with "backbone.".
FORMATS: dict[str, Format] = {
    each.name: each for each in (MMACTION2, OURS, TORCHVISION, OFFICIAL_TSM, PYSLOWFAST, PYTORCHVIDEO)
}

__all__ = ["FORMATS", "Described", "Format", "Options"]
