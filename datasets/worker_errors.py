"""A user's mistake found in a loader's worker, raised in the main process as it is.

PyTorch would raise it there with the worker's traceback as its only line; so it travels as an item instead.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from torch.utils.data import DataLoader, Dataset

from datasets.worker_notes import note_video
from utils.errors import UserError

Item = TypeVar("Item")


class Failure(NamedTuple):
    """The lines of a `UserError`, in the place of the item that could not be made."""

    lines: tuple[str, ...]


class FailuresAsItems(Dataset[Any]):
    """`dataset`, whose `UserError`s become `Failure` items."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._dataset[key]
        except UserError as error:
            return Failure(error.lines)
        finally:
            note_video(None)


class RaisingLoader(Generic[Item]):
    """Items of `loader`, whose data set is a `FailuresAsItems`; a `Failure` is raised as the `UserError` it was.

    `watch` starts the loader, and looks after its workers.
    """

    def __init__(self, loader: DataLoader[Any], watch: Callable[[DataLoader[Any]], Iterator[Any]]) -> None:
        self._loader = loader
        self._watch = watch

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Item]:
        return _raising(self._watch(self._loader))  # the workers are started now, not at the first item


def _raising(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Failure):
            raise UserError(*item.lines)
        yield item
