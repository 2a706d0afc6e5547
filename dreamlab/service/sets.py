"""The part of the service that is about data sets: their names and descriptions, small pictures of
them, and which runs use which of their images."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from dreamlab.data import catalog, imageset
from dreamlab.data.importing.extending import versioned
from dreamlab.experiments import uses
from dreamlab.experiments.uses import TRAINED, Aside, Unseen, Use
from dreamlab.service.reader import Reader
from dreamlab.service.refused import Refused, refusing
from dreamlab.service.run_names import label
from dreamlab.settings import ImportSpec, RealData, Spec, make
from dreamlab.store import Run
from dreamlab.store.about import LONGEST_NAME, LONGEST_TEXT, About, write_about

SMALL, SMALL_SIDE = 8, 64
"""Most images in the small picture of a set, and their largest side in pixels."""

MOST_VERSIONS = 1000
"""Longest line of versions that is followed."""


@dataclasses.dataclass(frozen=True)
class Roles:
    """Which runs use which images of a data set with `train` and `test` images. `free` is the
    number of training images that no generator, no classifier, and neither was trained on; `aside`
    are settings that keep such images for validation, and `unseen` those that train on images which
    no generator was trained on."""

    uses: list[Use]
    train: int
    test: int
    free: dict[str, int]
    unknown: int
    """Number of generators whose training images are not known; they may be any."""
    aside: Aside | None
    unseen: Unseen | None


class Sets(Reader):
    """Describes data sets. All its errors are Refused, with one sentence."""

    def named(self, spec: Spec) -> str:
        """The name of a new run of this spec. That of a new version of an imported set is the name
        of the set with the number of the version."""
        if isinstance(spec, ImportSpec) and spec.extends:
            return versioned(self.get(spec.extends).record.name)
        return label(spec)

    def describe(self, run_id: str, name: str | None = None, text: str | None = None) -> About:
        """Gives a run another name and another description. None keeps what there is; an empty name
        brings the first one back. The content hash stays. Returns both. Raises Refused."""
        run = self.get(run_id)
        before = run.about
        wanted = About(
            before.name if name is None else " ".join(name.split()),
            before.text if text is None else text.strip(),
        )
        if not before.name and wanted.name in self._first_names(run):
            wanted = dataclasses.replace(wanted, name="")
        for value, longest, field in (
            (wanted.name, LONGEST_NAME, "name"),
            (wanted.text, LONGEST_TEXT, "description"),
        ):
            if len(value) > longest:
                raise Refused(
                    f"The {field} has {len(value):,} characters; at most {longest:,} are possible.",
                    field,
                )
        if not wanted.name.isprintable():
            raise Refused("The name has characters that cannot be shown; leave them out.", "name")
        try:
            write_about(run.path, wanted)
        except OSError as error:
            raise Refused(
                f"{run.id} cannot be described: its folder cannot be written ({error.strerror})."
            ) from None
        return wanted

    def _first_names(self, run: Run) -> tuple[str, ...]:
        """The names that a run without a given name is shown by."""
        try:
            return (run.record.name, catalog.info(run.id).title)
        except catalog.DataError:
            return (run.record.name,)

    def deleted_sets(self) -> list[tuple[str, str]]:
        """(id, name) of the imported sets in the trash, the newest first."""
        trash = self.store.folders.trash
        kept = [Run(folder) for folder in trash.iterdir()] if trash.is_dir() else []
        sets = [run for run in kept if not run.problem() and run.kind == ImportSpec.kind]
        return sorted(((r.id, r.about.name or r.record.name) for r in sets), reverse=True)

    def small_picture(self, name: str, data_dir: str = "") -> bytes:
        """A PNG of the first images of up to SMALL classes of a data set, by its name or by the id
        of an import run, real or synthetic. Raises Refused if it has no images here."""
        with refusing():
            if name not in catalog.INFO:
                run = self.get(name)
                if run.kind != "import":
                    raise Refused(f"{name} is no data set.", "run")
                return _of_folder(run.path, catalog.import_stamp(run.path))
            return _of_named(name, data_dir, catalog.stamp(name, data_dir))

    def roles(self, dataset: str, data_dir: str = "") -> Roles:
        """Which runs use which images of a data set. Raises Refused if its images cannot be
        read."""
        with refusing("data_dir"):
            data = make(RealData, {"dataset": dataset, "data_dir": data_dir})
            runs = self.library.runs()
            found = uses.uses(data, runs, self.store) + self._uses_of_versions(dataset, runs)
            train = len(catalog.load(dataset, data_dir).train_labels)
            free = {
                "generator": train - len(uses.seen(found, "generator")),
                "classifier": train - len(uses.seen(found, "classifier")),
                "either": train - len(uses.seen(found, *TRAINED)),
            }
            unknown = sum(u.count for u in found if u.images is None)
            known = bool(found) and not unknown
            return Roles(
                found,
                train,
                catalog.info(dataset).test,
                free,
                unknown,
                uses.aside(found, data) if known else None,
                uses.unseen(found, data) if known else None,
            )

    def roles_version(self) -> Hashable:
        """A value that changes when runs come or go, or change their names. It can be called at
        every tick."""
        return tuple((run.id, run.about.name) for run in self.library.all())

    def versions(self, run_id: str) -> tuple[list[Run], list[Run]]:
        """The imported sets that this one was made from by adding images, the latest first, and
        those that were made from it in this way. Deleted ones are left out."""
        imports = {r.id: r for r in self.library.runs() if r.kind == "import"}
        before = [imports[i] for i in _line(run_id, imports)[1:] if i in imports]
        after = [r for r in imports.values() if getattr(r.spec, "extends", "") == run_id]
        return before, after

    def _uses_of_versions(self, dataset: str, runs: list[Run]) -> list[Use]:
        """The uses of the images that an imported set shares with its other versions: the first
        ones of both splits, those of the latest version that both were made from."""
        imports = {r.id: r for r in runs if r.kind == "import"}
        own, found = _line(dataset, imports), []
        for name in {i for r in imports for i in _line(r, imports)} - {dataset}:
            line = _line(name, imports)
            common = next((i for i in own if i in line), None)
            if common in imports:
                data = make(RealData, {"dataset": name})
                with contextlib.suppress(catalog.DataError):
                    shared = catalog.info(common)
                    used = uses.uses(data, runs, self.store)
                    found += [u for u in (uses.among(u, shared) for u in used) if u is not None]
                    continue
            if common is not None:  # it was deleted, and with it what its runs selected
                found += [
                    Use("generator", r.record.group or r.id, 1, False, None)
                    for r in runs
                    if r.kind == "train" and getattr(r.spec, "dataset", "") == name
                ]
        return found


def _line(run_id: str, imports: dict[str, Run]) -> list[str]:
    """An imported set and those that it was made from by adding images, the latest first. The last
    one may be deleted."""
    found = [run_id]
    while run_id in imports and len(found) < MOST_VERSIONS:
        run_id = getattr(imports[run_id].spec, "extends", "")
        if not run_id or run_id in found:
            break
        found.append(run_id)
    return found


@functools.lru_cache(maxsize=256)
def _of_folder(folder: Path, _: catalog.Stamp) -> bytes:
    try:
        return _small(*imageset.load(folder))
    except (OSError, ValueError, EOFError):
        raise Refused(f"{folder.name} has no images (yet).", "run") from None


@functools.lru_cache(maxsize=32)
def _of_named(name: str, data_dir: str, _: catalog.Stamp) -> bytes:
    data = catalog.load(name, data_dir)
    return _small(data.train_images, data.train_labels)


def _small(images: np.ndarray, labels: Sequence[int] | np.ndarray) -> bytes:
    """A row of images as PNG: the first one of each class, then the second ones, and so on."""
    labels = np.asarray(labels[:100_000])
    order, within = np.argsort(labels, kind="stable"), np.empty(len(labels), np.int64)
    counts = np.bincount(labels)
    within[order] = np.concatenate([np.arange(n) for n in counts])
    chosen = np.lexsort((labels, within))[:SMALL]
    tiles = imageset.resized(images[chosen], min(int(images.shape[1]), SMALL_SIDE))
    return imageset.png(imageset.sheet(tiles, len(tiles)))
