"""The errors of the service."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dreamlab.data.imageset import DataError
from dreamlab.engine.client import EngineError
from dreamlab.settings import SpecError
from dreamlab.store import RunError


class Refused(ValueError):
    """A request that is not possible. The message is one sentence, and nothing was started. `field`
    is the name of the setting that it is about, if any."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


class NoEngine(Refused):
    """The engine does not start. Submitted runs wait until it does."""


@contextlib.contextmanager
def refusing(field: str = "") -> Iterator[None]:
    """Turns SpecError, RunError, DataError and EngineError into Refused or NoEngine. `field` is
    used if the error has no field."""
    try:
        yield
    except EngineError as error:
        raise NoEngine(str(error), field) from None
    except (SpecError, RunError, DataError) as error:
        raise Refused(str(error), getattr(error, "field", "") or field) from None
