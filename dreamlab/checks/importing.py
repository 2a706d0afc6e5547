"""Whether an import can begin: its source exists or has a name that is known."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.data.importing.opening import check_source
from dreamlab.settings import ImportSpec


def check_import(spec: ImportSpec, known: Known) -> None:
    """Raises DataError where there is nothing to import; no network is asked, no image read."""
    check_source(spec.source)
