"""Runs inside the test's process leave no handler of theirs behind."""

import signal
from collections.abc import Iterator

import pytest

from engine.log import LOGGER
from engine.signals import STOP_SIGNALS


@pytest.fixture(autouse=True)
def _handlers_restored() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.propagate = True
