"""Whether an import can begin: its source exists, or is a known download, and the set that it adds
to has images of this size and colour."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.data import catalog
from dreamlab.data.importing.opening import check_source
from dreamlab.settings import ImportSpec, SpecError


def check_import(spec: ImportSpec, known: Known) -> None:
    """Raises DataError if there is nothing to import, or if the set to add to is not there, and
    SpecError if that has another size or colour. It does not use the network and reads no image."""
    check_source(spec.source)
    if spec.extends:
        _check_extends(spec)


def _check_extends(spec: ImportSpec) -> None:
    known = catalog.info(spec.extends)
    if spec.image_size not in (0, known.size):
        raise SpecError(
            f"Image size (--image-size): {spec.image_size} cannot be used; the images of"
            f" {known.title} have {known.size} pixels, and those that are added get the same: leave"
            " it at 0.",
            "image_size",
        )
    colour = "grey" if known.channels == 1 else "rgb"
    if spec.color not in ("auto", colour):
        raise SpecError(
            f"Color (--color): {spec.color} cannot be used; the images of {known.title} are"
            f" {colour}, and those that are added become the same: leave it at auto.",
            "color",
        )
