"""How the segments of a clip agree on one score: their average, their maximum, or relations between them."""

from itertools import combinations

import torch
from torch import nn

from utils.errors import UserError

BOTTLENECK = 256  # features of a frame, and of a relation between frames
SUBSAMPLE_NUM = 3  # tuples drawn per scale
MOST_SEGMENTS = 16  # of trn: 12,870 tuples of 8
SEEN_TUPLES = 100  # in evaluation, of a scale that has more (10 segments and up): evenly spread ones


class Consensus(nn.Module):
    """Features (B, T, D) and the method's classifier -> logits (B, K).

    `feature_dim` is what the classifier takes in, `classifier_std` the spread of its weights at the start.
    """

    classifier_std = 0.001

    def __init__(self, *, feature_dim: int, num_segments: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.num_segments = num_segments

    def forward(self, features: torch.Tensor, classifier: nn.Module) -> torch.Tensor:
        """See the class."""
        raise NotImplementedError(f"{type(self).__name__} must say how segments agree")


class Average(Consensus):
    """The mean of the segments' logits."""

    def forward(self, features: torch.Tensor, classifier: nn.Module) -> torch.Tensor:
        """See the class."""
        return classifier(features).mean(dim=1)


class Maximum(Consensus):
    """Each class's largest logit over the segments."""

    def forward(self, features: torch.Tensor, classifier: nn.Module) -> torch.Tensor:
        """See the class."""
        return classifier(features).amax(dim=1)


class Relations(Consensus):
    """Multi-scale temporal relations (TRN, Zhou et al., ECCV 2018, https://arxiv.org/abs/1711.08496).

    For each scale s from T down to 2 a network of its own looks at ordered tuples of s frames: in training at 3 that
    are drawn at each step, or at all where there are fewer; the logits of all tuples of all scales are summed. The
    scales' last layers are one here, the method's classifier, over the scales' summed features side by side: the same
    function. The authors draw in evaluation too. Here each scale's mean over all its tuples takes the place of each
    draw: the expectation of their score, the same at every run.
    """

    classifier_std = (3 * BOTTLENECK) ** -0.5  # of torch's own start for a layer of 256 inputs, which theirs have

    def __init__(self, *, feature_dim: int, num_segments: int) -> None:
        super().__init__(feature_dim=feature_dim, num_segments=num_segments)
        if not 2 <= num_segments <= MOST_SEGMENTS:
            raise ValueError(f"num_segments: got {num_segments}, consensus trn takes 2 to {MOST_SEGMENTS}")
        self.bottleneck = nn.Linear(feature_dim, BOTTLENECK)
        nn.init.normal_(self.bottleneck.weight, std=0.001)
        nn.init.zeros_(self.bottleneck.bias)
        self.relations = nn.ModuleList()
        self.tuples: list[torch.Tensor] = []
        for scale in range(num_segments, 1, -1):
            self.relations.append(nn.Linear(scale * BOTTLENECK, BOTTLENECK))
            self.tuples.append(torch.tensor(list(combinations(range(num_segments), scale)), device="cpu"))
        self.feature_dim = len(self.relations) * BOTTLENECK

    def forward(self, features: torch.Tensor, classifier: nn.Module) -> torch.Tensor:
        """See the class; raises `UserError` for another number of segments than the relations are made for."""
        if features.shape[1] != self.num_segments:
            raise UserError(
                f"consensus trn: got {features.shape[1]} segments, needs {self.num_segments}: take a protocol that "
                "keeps num_segments, such as tsm-8x10crop"
            )
        frames = self.bottleneck(features)
        scales = [self._relate(frames, *each) for each in zip(self.relations, self.tuples)]
        return classifier(torch.cat(scales, dim=1))

    def _relate(self, frames: torch.Tensor, relation: nn.Module, tuples: torch.Tensor) -> torch.Tensor:
        """Frames (B, T, 256) -> (B, 256): the sum over one draw of tuples, in evaluation its expectation."""
        drawn = min(SUBSAMPLE_NUM, len(tuples))
        if self.training:
            chosen = torch.randperm(len(tuples))[:drawn]
        else:
            chosen = torch.linspace(0, len(tuples) - 1, min(SEEN_TUPLES, len(tuples))).round().long()
        seen = frames[:, tuples[chosen].to(frames.device)]  # B, tuples, scale, 256
        return drawn * relation(seen.flatten(2).relu()).relu().mean(dim=1)


CONSENSUS: dict[str, type[Consensus]] = {"average": Average, "max": Maximum, "trn": Relations}
