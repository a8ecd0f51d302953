"""torchvision's image classification networks, and the names that everybody's ImageNet weights have."""

from networks.checkpoint_formats.checkpoint_format import Format
from networks.checkpoint_formats.renames import Rename, Table

RESNET = (
    Rename("conv1.{rest}", "backbone.conv1.{rest}"),
    Rename("bn1.{rest}", "backbone.bn1.{rest}"),
    Rename("layer{stage}.{block}.{rest}", "backbone.layer{stage}.{block}.{rest}"),
    Rename("fc.{rest}", "classifier.{rest}"),
)
MOBILENET = (
    Rename("features.{rest}", "backbone.features.{rest}"),
    Rename("classifier.1.{rest}", "classifier.{rest}"),
    Rename("classifier.{rest}", "classifier.{rest}"),
)

TORCHVISION = Format(
    name="torchvision",
    title="torchvision",
    key="",
    tables=(Table("resnet", RESNET), Table("mobilenetv2", MOBILENET)),
    methods=frozenset({"image", "tsn"}),
)
