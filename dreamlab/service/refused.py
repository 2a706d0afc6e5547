"""What a caller of the service gets where something cannot be done: one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dreamlab.data.imageset import DataError
from dreamlab.engine.client import EngineError
from dreamlab.settings import SpecError
from dreamlab.store import RunError


class Refused(ValueError):
    """One clear sentence; nothing was started. `field` names the setting it is about, where there
    is one."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


class NoEngine(Refused):
    """The engine does not start: what was submitted waits until one does."""


@contextlib.contextmanager
def refusing(field: str = "") -> Iterator[None]:
    """Turns the errors of the rooms below into Refused; `field` where they name none."""
    try:
        yield
    except EngineError as error:
        raise NoEngine(str(error), field) from None
    except (SpecError, RunError, DataError) as error:
        raise Refused(str(error), getattr(error, "field", "") or field) from None
