"""Ranks whose launcher was killed end by themselves: they save as on SIGTERM, and are gone within 30 seconds."""

import os
import signal
import threading
import time

CHECK_SECONDS, GRACE_SECONDS = 2.0, 20.0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)


def watch_parent() -> None:
    """Watch, in a thread, that this process still has the parent that it has now."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent watch").start()
