"""A process that answers one request ends with the process that asked, which may be killed."""

from __future__ import annotations

import os
import signal
import threading
import time

EVERY = 1.0
"""Seconds between two looks at the parent."""


def end_with_parent() -> None:
    """Kills the group of this process, which it must lead, soon after its parent has ended: with it
    the processes that it has forked."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent").start()
