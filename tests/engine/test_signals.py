"""Real signals to this process."""

import os
import signal

import pytest

from engine.signals import STOP_SIGNALS, StopRequest


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_asks_to_stop_and_gives_the_shells_status(number: signal.Signals) -> None:
    stop = StopRequest().install()
    assert not stop
    os.kill(os.getpid(), number)
    assert stop
    assert stop.status == 128 + number


def test_status_where_another_rank_was_asked() -> None:
    assert StopRequest().status == 143


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    stop = StopRequest().install()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.status == 130


def test_a_second_sigterm_changes_nothing() -> None:
    stop = StopRequest().install()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.status == 143
