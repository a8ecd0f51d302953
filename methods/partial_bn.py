"""Partial BN (TSN, Wang et al., ECCV 2016): all batch norms but the first keep their ImageNet statistics."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from methods.non_local import NonLocal


def freeze_all_but_first_bn(backbone: nn.Module) -> None:
    """Put every batch norm but the first of `backbone` into evaluation mode and take it out of the training.

    Called at every switch to training mode, which would undo it. Those of non-local blocks, which have no statistics
    from ImageNet, learn on.
    """
    added = {norm for block in backbone.modules() if isinstance(block, NonLocal) for norm in block.modules()}
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm) and module not in added]
    for norm in norms[1:]:
        norm.eval()
        for parameter in norm.parameters(recurse=False):
            parameter.requires_grad_(False)
