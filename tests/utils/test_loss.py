"""Smoothed and mixed targets against torch's own label smoothing, and by hand."""

import math

import pytest
import torch
from torch.nn import functional

from utils.loss import cross_entropy, mix, soft_targets


def test_soft_targets_by_hand() -> None:
    targets = soft_targets(torch.tensor([1, 3]), 4, label_smooth=0.1)
    assert targets.dtype == torch.float32
    assert targets.tolist() == [
        pytest.approx([0.025, 0.925, 0.025, 0.025]),
        pytest.approx([0.025, 0.025, 0.025, 0.925]),
    ]
    assert soft_targets(torch.tensor([1]), 3).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("label_smooth", [0.0, 0.1, 0.5])
def test_the_loss_and_its_gradient_are_torchs_with_label_smoothing(label_smooth: float) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(16, 10, generator=generator, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    labels = torch.randint(10, (16,), generator=generator)
    loss = cross_entropy(ours, soft_targets(labels, 10, label_smooth))
    expected = functional.cross_entropy(theirs, labels, label_smoothing=label_smooth)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-7)


def test_the_loss_by_hand() -> None:
    # probabilities 1/4 and 3/4
    logits = torch.tensor([[0.0, math.log(3)]])
    assert float(cross_entropy(logits, torch.tensor([[1.0, 0.0]]))) == pytest.approx(math.log(4))
    mixed = cross_entropy(logits, torch.tensor([[0.25, 0.75]]))
    assert float(mixed) == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))


def test_mix_takes_the_rest_from_the_batch_in_reverse_order() -> None:
    assert mix(torch.tensor([1.0, 2.0, 10.0]), 0.75).tolist() == [0.75 + 2.5, 2.0, 7.5 + 0.25]
    assert mix(torch.tensor([1.0, 2.0]), 1.0).tolist() == [1.0, 2.0]


def test_the_loss_of_mixed_targets_is_the_mixed_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator)
    labels = torch.randint(5, (6,), generator=generator)
    loss = cross_entropy(logits, mix(soft_targets(labels, 5, 0.1), 0.3))
    own, partners = (functional.cross_entropy(logits, each, label_smoothing=0.1) for each in (labels, labels.flip(0)))
    assert float(loss) == pytest.approx(float(0.3 * own + 0.7 * partners), rel=1e-6)
