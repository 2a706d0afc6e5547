"""Whether an import can begin: its source exists, or is a known download."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.data.importing.opening import check_source
from dreamlab.settings import ImportSpec


def check_import(spec: ImportSpec, known: Known) -> None:
    """Raises DataError if there is nothing to import. It does not use the network and reads no
    image."""
    check_source(spec.source)
