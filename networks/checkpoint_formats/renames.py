"""A table of renames that works both ways: rows of two templates, for a peer's key and for ours."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch

_FIELD = re.compile(r"\{([a-z]+)([+-]\d+)?\}")
REST = "rest"  # the field that takes anything; every other one is a number
MATRIX = 2  # sizes of a linear layer's weights

Tensors = dict[str, torch.Tensor]


class Rename(NamedTuple):
    """`theirs` <-> `ours`, templates with fields: {stage} a number, {stage+2} that number and 2, {rest} anything.

    `ones`: how many sizes of 1 the peer's tensor has at its end that ours lacks (a linear layer kept as a
    convolution).
    """

    theirs: str
    ours: str
    ones: int = 0


class _Side(NamedTuple):
    pattern: re.Pattern[str]
    template: str


def _compile(template: str) -> _Side:
    parts: list[str] = []
    end = 0
    for field in _FIELD.finditer(template):
        name = field[1]
        kind = ".+" if name == REST else r"\d+"
        seen = any(part.startswith(f"(?P<{name}>") for part in parts)
        parts += [re.escape(template[end : field.start()]), f"(?P={name})" if seen else f"(?P<{name}>{kind})"]
        end = field.end()
    return _Side(re.compile("".join(parts) + re.escape(template[end:])), template)


def _offsets(template: str) -> dict[str, int]:
    return {field[1]: int(field[2] or 0) for field in _FIELD.finditer(template)}


def _translate(key: str, source: _Side, target: _Side) -> str | None:
    """`key` by one row, None where it isn't the row's."""
    match = source.pattern.fullmatch(key)
    if match is None:
        return None
    values, offsets = match.groupdict(), _offsets(source.template)
    numbers = {name: int(value) - offsets[name] for name, value in values.items() if name != REST}
    if any(number < 0 for number in numbers.values()):
        return None

    def fill(field: re.Match[str]) -> str:
        return values[REST] if field[1] == REST else str(numbers[field[1]] + int(field[2] or 0))

    return _FIELD.sub(fill, target.template)


def _without(value: torch.Tensor, ones: int) -> torch.Tensor:
    """A linear layer's weights, given as a convolution's with `ones` sizes of 1."""
    return value.flatten(1) if ones and value.ndim == MATRIX + ones else value


def _with(value: torch.Tensor, ones: int) -> torch.Tensor:
    return value[(...,) + (None,) * ones] if ones and value.ndim == MATRIX else value


class Renamed(NamedTuple):
    """Tensors under their new keys, and the old keys that no row knows."""

    tensors: Tensors
    unknown: list[str]


def _any(_: Mapping[str, torch.Tensor]) -> bool:
    return True


class Table:
    """Rows of `Rename`; of the rows that fit a key, the first one counts.

    `fits(tensors under our keys)` is False where names alone would pass and shapes say that it is another network.
    """

    def __init__(
        self, name: str, rows: Iterable[Rename], fits: Callable[[Mapping[str, torch.Tensor]], bool] = _any
    ) -> None:
        self.name = name
        self.fits = fits
        rows = list(rows)
        for row in rows:
            assert _offsets(row.theirs).keys() == _offsets(row.ours).keys(), f"{row}: its sides have other fields"
        self._rows = [(_compile(row.theirs), _compile(row.ours), row.ones) for row in rows]

    def to_ours(self, tensors: Mapping[str, torch.Tensor]) -> Renamed:
        """A peer's tensors under our keys."""
        renamed = Renamed({}, [])
        for key, value in tensors.items():
            for theirs, ours, ones in self._rows:
                new = _translate(key, theirs, ours)
                if new is not None and new not in renamed.tensors:
                    renamed.tensors[new] = _without(value, ones)
                    break
            else:
                renamed.unknown.append(key)
        return renamed

    def to_theirs(self, tensors: Mapping[str, torch.Tensor]) -> Renamed:
        """Our tensors under the peer's keys."""
        renamed = Renamed({}, [])
        for key, value in tensors.items():
            for theirs, ours, ones in self._rows:
                new = _translate(key, ours, theirs)
                if new is not None and new not in renamed.tensors:
                    renamed.tensors[new] = _with(value, ones)
                    break
            else:
                renamed.unknown.append(key)
        return renamed
