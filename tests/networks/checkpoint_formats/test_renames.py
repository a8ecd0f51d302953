"""Rows of two templates translate keys both ways, and the tables of all formats never lose a tensor."""

import pytest
import torch

from networks.checkpoint_formats.renames import Rename, Table

TABLE = Table(
    "example",
    [
        Rename("s{stage+2}.res{block}.a.{rest}", "stages.{stage}.{block}.conv1.{rest}"),
        Rename("lin.{rest}", "linear.{rest}", ones=3),
        Rename("new_fc.{rest}", "classifier.{rest}"),
        Rename("old_fc.{rest}", "classifier.{rest}"),
    ],
)
ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("s2.res0.a.weight", "stages.0.0.conv1.weight"),
        ("s5.res12.a.running_mean", "stages.3.12.conv1.running_mean"),
        ("new_fc.bias", "classifier.bias"),
    ],
)
def test_a_row_translates_both_ways(theirs: str, ours: str) -> None:
    assert list(TABLE.to_ours({theirs: ONE}).tensors) == [ours]
    assert list(TABLE.to_theirs({ours: ONE}).tensors) == [theirs]


def test_of_two_names_for_one_tensor_the_first_is_written_and_both_are_read() -> None:
    assert list(TABLE.to_ours({"old_fc.weight": ONE}).tensors) == ["classifier.weight"]
    assert list(TABLE.to_theirs({"classifier.weight": ONE}).tensors) == ["new_fc.weight"]


def test_two_tensors_never_share_a_name() -> None:
    renamed = TABLE.to_ours({"new_fc.weight": ONE, "old_fc.weight": 2 * ONE})
    assert renamed.tensors == {"classifier.weight": ONE}
    assert renamed.unknown == ["old_fc.weight"]


@pytest.mark.parametrize("key", ["s1.res0.a.weight", "s2.resx.a.weight", "xs2.res0.a.weight", "s2.res0.a"])
def test_a_key_of_no_row_is_unknown(key: str) -> None:
    assert TABLE.to_ours({key: ONE}).unknown == [key]


def test_a_linear_layer_kept_as_a_convolution_loses_its_ones_and_gets_them_back() -> None:
    weight = torch.randn(4, 3, 1, 1, 1)
    ours = TABLE.to_ours({"lin.weight": weight}).tensors
    assert ours["linear.weight"].shape == (4, 3)
    assert torch.equal(TABLE.to_theirs(ours).tensors["lin.weight"], weight)
