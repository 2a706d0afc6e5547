"""The content hash of a run. It decides whether the same run exists already.

It holds the settings, the content of the images and weights that the run reads from files, and what
identifies the runs that it names. It holds no path: the same images in another folder make the same
run, and other images in the same folder make another one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from dreamlab import studies
from dreamlab.data import catalog, contents
from dreamlab.experiments.children import Runs, Status
from dreamlab.experiments.study.plan import datasets_of
from dreamlab.settings import (
    FidelitySpec,
    ImportSpec,
    RealData,
    Spec,
    SpecError,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
)
from dreamlab.settings.base import HASH_VERSION
from dreamlab.store import Run, RunError, checkpoints
from dreamlab.store.states import ACTIVE

PRETRAINED = ("dinov2", "clip")
PRETRAINED_FILES = ("config.json", "model.safetensors", "preprocessor_config.json")
"""Extractors that are read from a folder, and the files of it that are read."""
EXTRACTOR_DIR = "Extractor folder (--extractor-dir)"
INCEPTION_WEIGHTS = "Inception weights (--inception-weights)"


@dataclasses.dataclass(frozen=True)
class Identity:
    """The content hash of a spec, and the hashes of the files that it was computed from."""

    hash: str
    contents: dict[str, str]


class Identities:
    """Computes content hashes. `runs` finds runs by their id, and `status` gives their status."""

    def __init__(self, runs: Runs, status: Status):
        self._runs, self._status = runs, status
        self._older: dict[str, str] = {}

    def of(self, spec: Spec) -> Identity:
        """The identity of a run of this spec, with the images as they are now. Raises DataError if
        they cannot be read, SpecError, and RunError if a run that it names does not exist."""
        found = contents_of(spec, self._runs)
        own = spec.content_hash(self._output_of, found)
        if isinstance(spec, StudySpec):
            # the content of the study file is part of the hash, because the file may change
            said = f"{own} {studies.load(spec.study).identity}"
            own = hashlib.sha256(said.encode()).hexdigest()[:16]
        return Identity(own, found)

    def hash_of(self, run: Run) -> str:
        """The content hash of a run. For a run of an older version it is computed from its
        settings; it is empty if the content of what it read is not known."""
        if run.record.hash_version == HASH_VERSION:
            return run.record.hash
        if run.id not in self._older:
            self._older[run.id] = self._older_hash(run)
        return self._older[run.id]

    def _older_hash(self, run: Run) -> str:
        spec = run.spec
        if isinstance(spec, StudySpec) or getattr(spec, "extractor", "") == "inception":
            return ""  # the study file or the weights may have been others
        try:
            read = data_of(spec, self._runs)
            # an import never changes, nor does the file of an installed package
            if read is not None and not catalog.info(read[0]).bundled:
                return ""
            return self.of(spec).hash
        except (RunError, SpecError, catalog.DataError):
            return ""

    def _output_of(self, run_id: str) -> str:
        """What identifies the output of a run that a setting names. For an import it is the content
        of its images. Otherwise it is the run itself, because a training that is limited in time
        gives other weights every time; if it was stopped and may go on, its weights now."""
        run = self._runs.get(run_id)
        if run.kind == "import":
            try:
                return contents.import_of(run.id)
            except catalog.DataError:  # it is not done
                return run.id
        weights = checkpoints.path_of(run.path)
        if run.kind == "train" and weights.exists():
            if self._status(run.id).state not in ACTIVE | {"done"}:
                return f"{run.id} {contents.file_of(str(weights))}"
        return run.id


def data_of(spec: Spec, runs: Runs) -> tuple[str, str] | None:
    """The data set that a run of this spec reads, and its folder; None if it reads none, and the
    first one of a study that reads several. Raises RunError or SpecError."""
    if isinstance(spec, RealData):
        return spec.dataset, spec.data_dir
    if isinstance(spec, StudySpec):
        return datasets_of(spec)[0], spec.data_dir
    if isinstance(spec, FidelitySpec):
        made = runs.get(spec.images).spec
        if isinstance(made, ImportSpec):
            return made.dataset, spec.data_dir
        read = data_of(made, runs) or _trained_on(made, runs)
        return (read[0], spec.data_dir or read[1]) if read else None
    if isinstance(spec, SweepSpec) or (
        isinstance(spec, SynthesizeSpec) and spec.labeller != "none"
    ):
        return _trained_on(spec, runs)
    return None


def _trained_on(spec: Spec, runs: Runs) -> tuple[str, str] | None:
    """The data set of the generator that a spec names."""
    trained = runs.get(getattr(spec, "source", "")).spec
    return (trained.dataset, trained.data_dir) if isinstance(trained, TrainSpec) else None


def contents_of(spec: Spec, runs: Runs) -> dict[str, str]:
    """Hashes of the content of the files that a run of this spec reads: `images` of its data set
    and `weights` of its extractor. Raises DataError, RunError or SpecError."""
    found = {}
    if isinstance(spec, StudySpec):
        read = [contents.images_of(name, spec.data_dir) for name in datasets_of(spec)]
        found["images"] = " ".join(read)
    elif (data := data_of(spec, runs)) is not None:
        found["images"] = contents.images_of(*data)
    if isinstance(spec, (FidelitySpec, SweepSpec, StudySpec)):
        if spec.extractor == "inception":
            found["weights"] = contents.file_of(spec.inception_weights)
        elif not isinstance(spec, StudySpec) and spec.extractor in PRETRAINED:
            folder = Path(spec.extractor_dir).expanduser()
            files = [folder / name for name in PRETRAINED_FILES if (folder / name).exists()]
            found["weights"] = " ".join(contents.file_of(str(file)) for file in files)
    return found


def images_read(run: Run, dataset: str) -> str:
    """What identifies the images of the data set `dataset` that a run read when it was submitted;
    empty if that is not known, as for a run of an older version that read a folder."""
    if known := run.record.contents.get("images"):
        return known
    try:
        # an import never changes, nor does the file of an installed package
        return contents.images_of(dataset) if catalog.info(dataset).bundled else ""
    except catalog.DataError:
        return ""


def check_unchanged(run: Run, runs: Runs) -> None:
    """Raises SpecError if the files that a run reads are not those that it was submitted with."""
    known = run.record.contents
    if not known:
        return
    try:
        found = contents_of(run.spec, runs)
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None
    if found.get("images") != known.get("images"):
        dataset, folder = data_of(run.spec, runs) or ("", "")
        raise SpecError(
            f"Data ({dataset}): the images{f' in {folder}' if folder else ''} have changed since"
            " this run was submitted; start it anew, or resume it with the former images.",
            "data_dir",
        )
    if found != known:
        pretrained = getattr(run.spec, "extractor", "") in PRETRAINED
        raise SpecError(
            f"{EXTRACTOR_DIR if pretrained else INCEPTION_WEIGHTS}: what it names has changed since"
            " this run was submitted; start it anew, or resume it with the former files.",
            "extractor_dir" if pretrained else "inception_weights",
        )
