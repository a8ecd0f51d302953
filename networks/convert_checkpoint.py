"""Write a checkpoint in another system's names, or another system's in ours.

    python -m networks.convert_checkpoint IN --to {ours,tsm,mmaction2,pyslowfast,pytorchvideo,torchvision} OUT

The tensors stay bit for bit what they are, there and back. What a target can't hold is an error that says which can.
"""

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any

import torch

from networks.checkpoint_formats import FORMATS, Described, Format
from networks.checkpoint_formats.renames import Tensors
from networks.imported import Imported, read_checkpoint
from utils.errors import UserError, run_command

NAMED = 3


def _renamed(tensors: Tensors, target: Format, described: Described) -> tuple[Tensors, list[str]]:
    """Our tensors under a format's keys, by the table that fits them best, and our keys that it has no name for."""
    candidates = [table.to_theirs(tensors) for table in target.tables if table.fits(tensors)]
    best = min(candidates, key=lambda renamed: len(renamed.unknown), default=None)
    if best is None or best.unknown:
        return {}, list(tensors) if best is None else best.unknown
    return target.wrap(best.tensors, tensors, described), []


def _holders(tensors: Tensors, described: Described) -> list[str]:
    """Names of the formats that hold these tensors."""
    return [name for name, target in FORMATS.items() if _refusal(tensors, target, described) is None]


def _refusal(tensors: Tensors, target: Format, described: Described) -> str | None:
    """Why a format can't hold a network, None where it can."""
    if described.method and target.methods and described.method not in target.methods:
        return f"it has no {described.method}"
    limit = target.limit(tensors, described)
    if limit:
        return limit
    _, unknown = _renamed(tensors, target, described)
    if unknown:
        return f"it has no place for {', '.join(unknown[:NAMED])}{' ...' if len(unknown) > NAMED else ''}"
    return None


def convert(imported: Imported, target: Format) -> dict[str, Any]:
    """What the file of a checkpoint in the format `target` holds; `UserError` where that format can't hold it."""
    if target is FORMATS["ours"]:
        return {"model": imported.tensors, "origin": _origin(imported), "format": 1}
    refusal = _refusal(imported.tensors, target, imported.described)
    if refusal is not None:
        others = [name for name in _holders(imported.tensors, imported.described) if name != "ours"]
        can = f"; {', '.join(others)} can" if others else "; no other format can either"
        raise UserError(f"{imported.path}: {target.title} can't hold this network: {refusal}{can}")
    tensors, _ = _renamed(imported.tensors, target, imported.described)
    if imported.origin is target:
        names = dict(zip(imported.tensors, tensors))
        exact = {names[ours]: theirs for ours, theirs in imported.exceptions.items() if ours in names}
        tensors = {imported.prefix + exact.get(key, key): value for key, value in tensors.items()}
    return {target.key: tensors} if target.key else dict(tensors)


def _origin(imported: Imported) -> dict[str, Any]:
    """What the way back, and the options of a method, need to know of where the weights come from."""
    usual, _ = _renamed(imported.tensors, imported.origin, imported.described)
    names = zip(imported.tensors, usual)
    return {
        "format": imported.origin.name,
        "method": imported.described.method,
        "options": dict(imported.described.options),
        "prefix": imported.prefix,
        "names": {ours: imported.theirs[ours] for ours, name in names if imported.theirs.get(ours) != name},
    }


def write_atomically(contents: dict[str, Any], path: Path) -> None:
    """Save `contents` under `path`, whole or not at all; `UserError` where it can't be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: can't be written ({error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Read, convert, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write a checkpoint in another system's names.")
    parser.add_argument("source", type=Path, metavar="IN", help="a checkpoint of any known format")
    parser.add_argument("--to", required=True, choices=sorted(FORMATS), help="whose names OUT has")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write")
    options = parser.parse_args(arguments)
    imported = read_checkpoint(options.source)
    if imported.unknown:
        raise UserError(
            f"{options.source}: {len(imported.unknown)} tensors have no name here: {imported.unknown[:NAMED]}"
        )
    write_atomically(convert(imported, FORMATS[options.to]), options.out)
    print(
        f"{options.source} ({imported.format.title}, {len(imported.tensors)} tensors) -> {options.out} ({options.to})"
    )
    return 0


if __name__ == "__main__":
    run_command(main)
