"""Being asked to stop: the handlers only set a flag, the loop looks at it at the end of a step."""

import signal
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Truthy once SIGTERM, SIGINT (Ctrl-C) or SIGUSR1 (Slurm's time limit, preemption) has arrived.

    `status` is the exit status that a shell expects of a process ended by that signal. A second Ctrl-C interrupts
    at once, for a person who won't wait for the end of the step.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def install(self) -> "StopRequest":
        """Set the handlers of this process; loader workers ignore SIGINT and end with their parent."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def status(self) -> int:
        """128 + the signal's number; that of SIGTERM where another rank was the one to be asked."""
        return 128 + int(self.signal or signal.SIGTERM)
