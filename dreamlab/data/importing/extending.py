"""Adds images to an imported set: a new version with all images of both.

The images of the set keep their split, so that a test image stays a test image. New images that the
set has already, with the same pixels, are left out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamlab.data import catalog, imageset
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import LeftOut
from dreamlab.data.importing.parts import Part
from dreamlab.data.importing.split import Arranged
from dreamlab.settings import ImportSpec

KNOWN = "in the set already"
"""Why an image is left out that the extended set has."""
MOST_COMPARED = 2**28
"""Bytes of a set up to which images are looked for in it before they are added."""
NUMBERED = re.compile(r"(.*) \(version (\d+)\)")


def versioned(title: str) -> str:
    """The title of the next version: "pets (version 3)" for "pets (version 2)"."""
    found = NUMBERED.fullmatch(title)
    base, number = (found[1], int(found[2])) if found else (title, 1)
    return f"{base} (version {number + 1})"


def prepared(spec: ImportSpec) -> ImportSpec:
    """The spec with the fit of the set that it adds to. Raises DataError."""
    if not spec.extends:
        return spec
    fit = (catalog.card(spec.extends).get("preprocessing") or {}).get("fit", spec.fit)
    return spec.model_copy(update={"fit": fit})


@dataclasses.dataclass(frozen=True)
class Extended:
    """The set that is extended. `digests` (N,) are those of its images."""

    data: catalog.DataSet
    digests: np.ndarray

    def arranged(
        self, digests: np.ndarray, arrange: Callable[[np.ndarray], Arranged], left: LeftOut
    ) -> Arranged:
        """The split of new images with these digests. `arrange` splits those that the set does not
        have, given their positions (n,). Raises DataError if it has all of them."""
        known = np.isin(digests, self.digests)
        new = np.flatnonzero(~known)
        if not len(new):
            raise DataError(
                f"All {len(digests):,} images that can be used are in {self.data.info.title}"
                f" already ({left}); give images that it does not have."
            )
        found = arrange(new)
        out = {KNOWN: np.flatnonzero(known), **{k: new[v] for k, v in found.left_out.items()}}
        return dataclasses.replace(
            found,
            train=new[found.train],
            test=new[found.test],
            left_out=out,
            duplicates=found.duplicates + int(known.sum()),
        )

    def parts(
        self, new: Callable[[], np.ndarray], train: np.ndarray, test: np.ndarray
    ) -> list[Part]:
        """All images of the new version in order: those for training, then those for testing, of
        the set before the new ones, of which `train` and `test` are taken."""
        n, total = self.data.info.train, self.data.info.train + self.data.info.test

        def stored() -> np.ndarray:
            return imageset.load(catalog.folder_of(self.data.info.name))[0]

        old = (stored, np.arange(n)), (stored, np.arange(n, total))
        return [old[0], (new, train), old[1], (new, test)]

    def labels(self, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """The labels of the new version, given those of the new images."""
        return np.concatenate([self.data.train_labels, train, self.data.test_labels, test])

    def notes(self, train: int, test: int, scaled: str) -> list[str]:
        """What was added to what. `scaled` says how grey of 16 bits was scaled, or is empty."""
        known = self.data.info
        said = [
            f"{train + test:,} images, {train:,} for training and {test:,} for testing, were added"
            f" to {known.title} ({known.name}), which had {known.train:,} and {known.test:,}."
        ]
        before = (catalog.card(known.name).get("preprocessing") or {}).get("grey_of_16_bits", "")
        if scaled.partition(" so ")[2] != str(before).partition(" so ")[2] and scaled:
            said.append(
                f"Grey of 16 bits in the added images: {scaled}; before: {before or 'none'}."
            )
        return said

    def card(self, train: int, test: int) -> dict[str, Any]:
        """What the card of the new version says of the set and of the new images."""
        return {
            "extends": self.data.info.name,
            "added": {"train": train, "test": test},
            # an added image that the set has is left out, so no further ones overlap
            "overlap": catalog.overlap(self.data),
        }


def about_adding(spec: ImportSpec, images: np.ndarray, count: int, resized: int) -> list[str]:
    """What is said before `count` images are added to a set, in sentences. `images` are a sample of
    them as they will be, `resized` of which have another size. Raises DataError if the set has all
    of them."""
    known = catalog.info(spec.extends)
    before = known.train + known.test
    said = [
        f"They are added to {known.title}, which has {before:,} images and stays as it is: a new"
        f" version has {before + count:,}."
    ]
    side = f"{known.size} x {known.size} pixels"
    if resized:
        said.append(f"{resized:,} of {len(images):,} images tried have another size than {side}.")
    if known.channels == 1:
        said.append(f"{known.title} is grey: colour that they have is lost.")
    elif len(images) and not (images != images[..., :1]).any():
        said.append(f"They are grey, and {known.title} is in colour: its channels will be equal.")
    if before * known.size**2 * known.channels <= MOST_COMPARED:
        again = int(np.isin(imageset.digests(images), _digests(spec)).sum())
        if again == count:
            raise DataError(
                f"All {count:,} images are in {known.title} already; give images that it does not"
                " have."
            )
        if again:
            said.append(
                f"{again:,} of {len(images):,} images tried are in it already, and are left out."
            )
    return said


def _digests(spec: ImportSpec) -> np.ndarray:
    found = extended(spec)
    return found.digests if found else np.zeros(0)


def extended(spec: ImportSpec) -> Extended | None:
    """The set that an import adds to; None if it makes a set of its own. Raises DataError."""
    if not spec.extends:
        return None
    data = catalog.load(spec.extends)
    digests = [imageset.digests(images) for images in (data.train_images, data.test_images)]
    return Extended(data, np.concatenate(digests))
