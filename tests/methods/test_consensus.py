from itertools import combinations
from pathlib import Path

import pytest
import torch

from methods import build_method
from methods.consensus import Relations
from methods.parameter_groups import parameter_groups
from methods.tsn import TSN
from networks import IMAGE_NETWORKS
from tests.deterministic_weights import fill, structured_clips
from utils.config_schema import ModelConfig
from utils.errors import UserError


def tsn(consensus: str, **options: int) -> TSN:
    method = TSN(
        IMAGE_NETWORKS["resnet18"](width=8), num_class=3, consensus=consensus, **{"num_segments": 4, **options}
    )
    return fill(method)


def relations(num_segments: int) -> tuple[Relations, torch.nn.Linear]:
    made = Relations(feature_dim=16, num_segments=num_segments)
    return fill(made), fill(torch.nn.Linear(made.feature_dim, 5))


def test_average_and_maximum_of_the_segments_logits() -> None:
    clips = structured_clips(clips=2, frames=4, side=32)
    segments = torch.stack([tsn("average")(clips[:, t : t + 1]) for t in range(4)], dim=1)
    assert torch.allclose(tsn("average")(clips), segments.mean(dim=1), atol=1e-6)
    assert torch.allclose(tsn("max")(clips), segments.amax(dim=1), atol=1e-6)


def published_score(made: Relations, classifier: torch.nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """As the paper's equations (3) and (4) have it: every tuple through its scale's network, weighted by the draw."""
    frames, total = made.bottleneck(features), classifier.bias
    for number, scale in enumerate(range(made.num_segments, 1, -1)):
        last = classifier.weight[:, 256 * number : 256 * (number + 1)]
        tuples = list(combinations(range(made.num_segments), scale))
        scores = [
            torch.relu(made.relations[number](torch.relu(torch.cat([frames[:, t] for t in each], dim=1)))) @ last.T
            for each in tuples
        ]
        total = total + min(3, len(tuples)) * torch.stack(scores).mean(dim=0)
    return total


def test_relations_in_evaluation_are_the_expectation_of_the_published_draw() -> None:
    made, classifier = relations(5)
    features = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(made(features, classifier), published_score(made, classifier, features), atol=1e-5)


def test_the_mean_of_many_draws_comes_to_the_score_of_evaluation() -> None:
    made, classifier = relations(4)
    features = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    with torch.no_grad():
        score = made(features, classifier)
        made.train()
        draws = torch.stack([made(features, classifier) for _ in range(300)])
    spread = draws.std(dim=0)
    assert spread.min() > 0.01
    assert ((draws.mean(dim=0) - score).abs() / (spread / 300**0.5)).max() < 4


def test_relations_have_the_published_size() -> None:
    """8 frames: 7 scales, a bottleneck of 256 features per frame, a hidden layer of 256 per scale."""
    with torch.device("meta"):
        method = TSN(IMAGE_NETWORKS["resnet50"](), num_class=174, num_segments=8, consensus="trn")
    wanted = 2048 * 256 + 256 + sum(scale * 256 * 256 + 256 for scale in range(2, 9)) + 7 * 256 * 174 + 174
    backbone = sum(each.numel() for each in method.backbone.parameters())
    assert sum(each.numel() for each in method.parameters()) - backbone == wanted == 3_132_078
    assert [len(each) for each in method.consensus.tuples] == [1, 8, 28, 56, 70, 56, 28]


def test_order_matters_to_relations_and_to_no_other_consensus() -> None:
    clips = structured_clips(clips=1, frames=4, side=32)
    for consensus, differs in (("average", False), ("max", False), ("trn", True)):
        method = tsn(consensus)
        difference = (method(clips) - method(clips.flip(1))).abs().max()
        assert (difference > 1e-3) == differs, consensus


def test_another_number_of_segments_is_refused_with_a_protocol_that_fits() -> None:
    method = tsn("trn")
    assert method.dense_protocol == "tsm-8x10crop"
    with pytest.raises(UserError, match="got 5 segments, needs 4: take a protocol"):
        method(torch.zeros(1, 5, 3, 32, 32))


@pytest.mark.parametrize("num_segments", [1, 17])
def test_trn_takes_2_to_16_segments(num_segments: int) -> None:
    with pytest.raises(ValueError, match=f"num_segments: got {num_segments}, consensus trn takes 2 to 16"):
        tsn("trn", num_segments=num_segments)


def test_an_unknown_consensus_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"consensus: got 'mean', needs one of average, max, trn"):
        tsn("mean")


def test_the_classifier_of_relations_has_the_classifiers_rates() -> None:
    groups = parameter_groups(tsn("trn"), policy="tsm", no_wd=False, weight_decay=0.1)
    shapes = {group["name"]: [tuple(each.shape) for each in group["params"]] for group in groups}
    assert shapes["rate x 5, decay x 1"] == [(3, 3 * 256)]
    assert shapes["rate x 10, decay x 0"] == [(3,)]


def test_fine_tuning_on_another_number_of_classes_keeps_the_relations(tmp_path: Path) -> None:
    source = tsn("trn")
    torch.save({"model": source.state_dict()}, tmp_path / "ckpt.pth.tar")
    config = ModelConfig.model_validate(
        {
            "type": "tsn",
            "backbone": "resnet18",
            "num_class": 7,
            "num_segments": 4,
            "pretrained": str(tmp_path / "ckpt.pth.tar"),
            "kwargs": {"width": 8, "consensus": "trn"},
        }
    )
    method = build_method(config)
    assert method.classifier.weight.shape == (7, 3 * 256)
    assert torch.equal(method.consensus.relations[1].weight, source.consensus.relations[1].weight)
