"""This program's own names; a checkpoint of a run keeps them under "model", beside the config that made them."""

from networks.checkpoint_formats.checkpoint_format import Format
from networks.checkpoint_formats.renames import Rename, Table

PARTS = ("backbone", "classifier", "consensus")

OURS = Format(
    name="ours",
    title="our own",
    key="model",
    tables=(Table("any", [Rename(f"{part}.{{rest}}", f"{part}.{{rest}}") for part in PARTS]),),
)
