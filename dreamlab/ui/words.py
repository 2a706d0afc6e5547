"""Numbers, times and states in words. Pure functions that return plain text."""

from __future__ import annotations

import datetime

STATE_WORDS = {
    "queued": "queued",
    "running": "running",
    "stopping": "stopping",
    "stopped": "stopped and kept",
    "done": "done",
    "failed": "failed",
    "interrupted": "interrupted, resumes by itself",
    "unreadable": "unreadable",
}
"""State of a run -> how pages show it."""
MINUS = "\u2212"
"""The minus sign, which is longer than a hyphen."""


def clock(seconds: float | None) -> str:
    """Remaining time as m:ss or h:mm:ss; empty if unknown."""
    if seconds is None:
        return ""
    s = max(0, round(seconds))
    minutes = f"{s // 60 % 60:02d}:{s % 60:02d}"
    return f"{s // 3600}:{minutes}" if s >= 3600 else f"{s // 60}:{s % 60:02d}"


def time_left(seconds: float | None) -> str:
    """For example ", 1:20 left", to be appended to the progress of a run; empty if unknown."""
    return "" if seconds is None else f", {clock(seconds)} left"


def duration(seconds: float | None) -> str:
    """A duration with its unit; empty if unknown."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return clock(seconds) + (" h" if seconds >= 3600 else " min")


def size(count: int | None) -> str:
    """A number of bytes with a decimal unit (1 kB is 1,000 B); empty if unknown."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB" if value < 10 else f"{value:.0f} GB"


def number(value: float) -> str:
    """An integer with commas between thousands."""
    return f"{value:,}"


def fixed(value: float, digits: int = 1) -> str:
    """A number with a fixed number of decimals."""
    return f"{value:.{digits}f}"


def signed(points: float, digits: int = 1) -> str:
    """A difference with its sign, using a real minus sign."""
    return ("+" if points >= 0 else MINUS) + f"{abs(points):.{digits}f}"


def when(created: str) -> str:
    """A stored time as day and time without seconds. Any other text is returned as it is."""
    try:
        return datetime.datetime.fromisoformat(created).strftime("%d %b %H:%M")
    except ValueError:
        return created


def state(name: str) -> str:
    """How pages show a state of a run; an unknown state is returned as it is."""
    return STATE_WORDS.get(name, name)
