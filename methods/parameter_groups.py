"""Which parameters learn at which rate and decay: the optimiser's groups."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


class _Rates(NamedTuple):
    """Factors on the learning rate and on the weight decay."""

    lr: float
    decay: float


# TSN's and TSM's policy, in the words of their sources: get_optim_policies, with the classifier at 5 x ("fc_lr5").
FIRST_CONV_FLOW = (_Rates(5, 1), _Rates(10, 0))
WEIGHT, BIAS, NORM = _Rates(1, 1), _Rates(2, 0), _Rates(1, 0)
CLASSIFIER_WEIGHT, CLASSIFIER_BIAS = _Rates(5, 1), _Rates(10, 0)


def _trained(method: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    for module in method.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                yield module, name, parameter


def _tsm_rates(method: nn.Module, module: nn.Module, name: str) -> _Rates:
    is_bias = name == "bias"
    if isinstance(module, NORMS):
        return NORM
    if module is method.classifier:
        return CLASSIFIER_BIAS if is_bias else CLASSIFIER_WEIGHT
    if getattr(method, "modality", "RGB") == "Flow" and module is getattr(method.backbone, "first_conv", None):
        return FIRST_CONV_FLOW[1] if is_bias else FIRST_CONV_FLOW[0]
    return BIAS if is_bias else WEIGHT


def _plain_rates(module: nn.Module, name: str, *, no_wd: bool) -> _Rates:
    undecayed = no_wd and (name == "bias" or isinstance(module, NORMS))
    return NORM if undecayed else WEIGHT


def parameter_groups(method: nn.Module, *, policy: str, no_wd: bool, weight_decay: float) -> list[dict[str, Any]]:
    """Groups {params, name, lr_mult, weight_decay} of all parameters that are trained; frozen ones stay out.

    "plain": one rate, no decay on biases and normalisation with `no_wd`; "tsm": the rates of TSN's and TSM's sources
    (biases x 2 without decay, classifier x 5, its bias x 10, for Flow the first convolution likewise).
    """
    groups: dict[_Rates, list[nn.Parameter]] = {}
    for module, name, parameter in _trained(method):
        rates = _tsm_rates(method, module, name) if policy == "tsm" else _plain_rates(module, name, no_wd=no_wd)
        groups.setdefault(rates, []).append(parameter)
    return [
        {
            "params": parameters,
            "name": f"rate x {rates.lr:g}, decay x {rates.decay:g}",
            "lr_mult": float(rates.lr),
            "weight_decay": weight_decay * rates.decay,
        }
        for rates, parameters in groups.items()
    ]
