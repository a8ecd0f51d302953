"""From pictures to clips: a 2D ResNet's weights as the start of a 3D one (Carreira & Zisserman, arXiv:1705.07750).

A filter over T frames is the picture's, repeated T times and divided by T: on a clip that stands still the network
gives the picture's features. SlowFast's slow pathway takes them too; what it gets from the fast one starts at 0.
"""

import torch

from networks.checkpoint_formats.renames import Rename, Table, Tensors

PARTS_OF_SLOWFAST = ("backbone.fast_", "backbone.laterals.")  # they have no counterpart in a picture's network


def _table(pathway: str) -> Table:
    rows = [
        Rename("backbone.conv1.{rest}", f"backbone.{pathway}stem.0.{{rest}}"),
        Rename("backbone.bn1.{rest}", f"backbone.{pathway}stem.1.{{rest}}"),
        Rename("backbone.layer{stage+1}.{rest}", f"backbone.{pathway}stages.{{stage}}.{{rest}}"),
        Rename("classifier.{rest}", "classifier.{rest}"),
    ]
    return Table(f"inflation {pathway}", rows)


PATHWAYS = {"": _table(""), "slow_": _table("slow_")}


def inflate_filter(weight: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """(O, I, h, w) -> (O, I', T, h, w): repeated over time and divided by T, zeros for input channels beyond I."""
    spread = weight.unsqueeze(2).repeat(1, 1, shape[2], 1, 1) / shape[2]
    extra = shape[1] - weight.shape[1]
    return spread if extra <= 0 else torch.cat([spread, spread.new_zeros(shape[0], extra, *spread.shape[2:])], dim=1)


def inflated(tensors: Tensors, wanted: Tensors) -> Tensors | None:
    """A 2D ResNet's `tensors` under the keys and with the shapes of a 3D network, `wanted`; None for other networks.

    All keys are ours, those of whole methods.
    """
    pathway = next((each for each in PATHWAYS if f"backbone.{each}stem.0.weight" in wanted), None)
    if pathway is None or "backbone.layer1.0.conv1.weight" not in tensors:
        return None
    renamed = PATHWAYS[pathway].to_ours(tensors)
    for key, value in renamed.tensors.items():
        if value.ndim == 4 and key in wanted and wanted[key].ndim == 5:
            renamed.tensors[key] = inflate_filter(value, wanted[key].shape)
    return {**renamed.tensors, **{key: tensors[key] for key in renamed.unknown}}
