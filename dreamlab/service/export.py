"""Exports the images of a set or a mix with a card that says where each image came from, and tables
as CSV, LaTeX and Parquet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import catalog, exporting, imageset, memory, mixing
from dreamlab.data.selection import selected
from dreamlab.experiments.identity import check_unchanged
from dreamlab.experiments.provenance import labelled_by
from dreamlab.service import tables
from dreamlab.service.reader import Reader
from dreamlab.service.refused import Refused, refusing
from dreamlab.settings import ClassifySpec, ImportSpec, MixSpec, SpecError, SynthesizeSpec
from dreamlab.store import Run, write_bytes

TABLES = {".csv": "csv", ".tex": "latex", ".parquet": "parquet"}
TEXTS = {"csv": tables.as_csv, "latex": tables.as_latex}
ARCHIVES = (".zip", ".npz")
FORMS = (exporting.IMAGEFOLDER,)
"""Forms of images other than those that a suffix chooses, for a folder or a .zip."""


def export(
    reader: Reader, run_id: str, target: Path, arm: str = "", seed: int = 0, form: str = ""
) -> dict[str, Any]:
    """Exports the images or the table of a run to `target`. The suffix of `target` decides the
    format; without one, a folder is written. `form` is one of FORMS, or empty for class folders.
    `arm` and `seed` select the images of a mix. Raises Refused."""
    run = reader.get(run_id)
    if form and form not in FORMS:
        raise Refused(f"Format (--format): {form!r} is unknown; there is {', '.join(FORMS)}.", "to")
    _check_choice(run, arm, seed, target.suffix in TABLES)
    if target.suffix in TABLES and not form:
        data = _table(reader, run, TABLES[target.suffix])
        if target.exists():
            raise Refused(f"{target} exists already; give another name.", "to")
        try:
            write_bytes(target, data)
        except OSError as error:
            raise Refused(f"{target} cannot be written: {error.strerror}.", "to") from None
        return {
            "path": str(target),
            "images": 0,
            "text": f"Wrote the table of {run.id} to {target}.",
        }
    if target.suffix and target.suffix not in ARCHIVES:
        raise Refused(
            f"{target.name} cannot be written; it must be a folder, or end in .zip, .npz, .csv,"
            " .tex or .parquet.",
            "to",
        )
    with refusing("run"):
        images, labels, names, origin, card = _contents(reader, run, arm, seed)
    try:
        exporting.write(target, images, labels, names, origin, card, _for_training(run), form)
    except (OSError, ValueError) as error:
        raise Refused(f"{target} cannot be written: {error}", "to") from None
    return {
        "path": str(target),
        "images": len(labels),
        "text": f"Wrote {len(labels):,} images of {run.id} to {target}.",
    }


def _check_choice(run: Run, arm: str, seed: int, table: bool) -> None:
    """Raises Refused if an arm or a seed is named where there is none, or a seed with which no
    classifier is trained."""
    spec = run.spec
    what = f"the table of {run.id} holds all arms and seeds" if table else ""
    if not what and not isinstance(spec, MixSpec | ClassifySpec):
        what = f"{run.id} is a {run.kind} run and has no arms and seeds"
    for name, given in (("arm", bool(arm)), ("seed", bool(seed))):
        if given and what:
            value = arm if name == "arm" else seed
            raise Refused(
                f"{name.capitalize()} (--{name}): {value} cannot be used, because {what}; leave it"
                " out.",
                name,
            )
    if isinstance(spec, ClassifySpec) and arm not in ("", spec.arm):
        raise Refused(
            f"Arm (--arm): {arm!r} cannot be exported from {run.id}; its arm is {spec.arm}.", "arm"
        )
    if isinstance(spec, MixSpec | ClassifySpec) and not 0 <= seed < spec.seeds:
        there = f"0 to {spec.seeds - 1}" if spec.seeds > 1 else "0"
        raise Refused(
            f"Seed (--seed): {seed} cannot be exported from {run.id}; its classifiers have the"
            f" seeds {there}.",
            "seed",
        )


def table(reader: Reader, run: Run, form: str) -> str:
    """The table of a mix or a study as `csv` or `latex`. Raises Refused."""
    if form not in TEXTS:
        raise Refused(
            f"{form!r} is not a format of tables; it must be {' or '.join(TEXTS)}.", "format"
        )
    return _table(reader, run, form).decode()


def _table(reader: Reader, run: Run, form: str) -> bytes:
    if run.kind not in ("mix", "study"):
        raise Refused(f"{run.id} is a {run.kind} run; only a mix or a study has a table.", "run")
    result = reader.report(run.id)
    if form in TEXTS:
        return TEXTS[form](result).encode()
    try:
        return tables.as_parquet(result)
    except ImportError:
        raise Refused(
            "A Parquet file needs the package pyarrow: `pip install pyarrow`, or use .csv.", "to"
        ) from None


def temporary(reader: Reader, run_id: str, form: str, arm: str = "", seed: int = 0) -> Path:
    """Like `export`, into a temporary file for a download. The caller deletes its folder. Raises
    Refused."""
    if f".{form}" not in (*ARCHIVES, *TABLES) and form not in FORMS:
        raise Refused(
            f"{form!r} cannot be downloaded; it must be zip, npz, {', '.join(FORMS)}, csv, tex or"
            " parquet.",
            "format",
        )
    run = reader.get(run_id)
    folder = Path(tempfile.mkdtemp(prefix="dreamlab-"))
    chosen = form if form in FORMS else ""
    target = folder / f"{run.id}{f'-{form}.zip' if chosen else f'.{form}'}"
    try:
        export(reader, run.id, target, arm, seed, chosen)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return target


Exported = tuple[Any, np.ndarray, tuple[str, ...], list[str], dict[str, Any]]


def _contents(reader: Reader, run: Run, arm: str, seed: int) -> Exported:
    """(images, labels, class names, origin of each image, card) of an export."""
    spec = run.spec
    if isinstance(spec, MixSpec):
        *held, card = _contents(reader, _arm_of(reader, run, arm), "", seed)
        return (
            held[0],
            held[1],
            held[2],
            held[3],
            {**card, "generators": _qualities(reader.report(run.id))},
        )
    if isinstance(spec, ClassifySpec):
        return _mixed(reader, run, spec, seed)
    if not isinstance(spec, SynthesizeSpec | ImportSpec):
        raise Refused(
            f"{run.id} is a {run.kind} run; only a synthetic set, an import, a mix or one of its"
            " arms can be exported.",
            "run",
        )
    images, labels = reader.images(run.id)
    names = class_names(reader, run)
    role = spec.role if isinstance(spec, ImportSpec) else "synthetic"
    origin = [f"{role}: {run.id} image {i}" for i in range(len(labels))]
    return images, labels, names, origin, {**_card(run), **_labels(run), **_as_imported(run)}


def _for_training(run: Run) -> int | None:
    """How many images of an imported data set, the first ones, are for training; None for other
    sets, whose images all are."""
    spec = run.spec
    real = isinstance(spec, ImportSpec) and spec.role == "real"
    return catalog.info(run.id).train if real else None


def _as_imported(run: Run) -> dict[str, Any]:
    """What the card of an import says beyond its images and labels, so that it can be imported
    again as it is."""
    if not isinstance(run.spec, ImportSpec):
        return {}
    keys = ("title", "size", "channels", "mirror", "labelled", "content_hash")
    return {key: value for key, value in catalog.card(run.id).items() if key in keys}


def class_names(reader: Reader, run: Run) -> tuple[str, ...]:
    """Class names of a synthetic set or an import."""
    spec = run.spec
    if isinstance(spec, ImportSpec):
        return catalog.info(run.id if spec.role == "real" else spec.dataset).classes
    assert isinstance(spec, SynthesizeSpec)
    return catalog.set_classes(spec, reader.generator_of(run.id)[1])


def _arm_of(reader: Reader, run: Run, arm: str) -> Run:
    """The classifier run of an arm of a mix, by the name of the arm; by default the arm of the
    verdict."""
    report = reader.report(run.id)
    named = {a["arm"]: a["run"] for a in reversed(report["arms"])}
    verdict = report.get("verdict")
    wanted = arm or (verdict["arm"] if verdict else "")
    if wanted not in named:
        raise Refused(
            f"Arm (--arm): {wanted or 'none'!r} cannot be exported from {run.id}; it must be one of"
            f" {', '.join(named)}.",
            "arm",
        )
    if not arm and verdict:
        return reader.get(
            next(
                a["run"]
                for a in report["arms"]
                if (a["arm"], a["generator"]) == (wanted, verdict["generator"])
            )
        )
    return reader.get(named[wanted])


def _mixed(reader: Reader, run: Run, spec: ClassifySpec, seed: int) -> Exported:
    try:
        check_unchanged(run, reader.library)
        data = catalog.load(spec.dataset, spec.data_dir)
        roles = selected(spec)
        synthetic = (
            reader.images(spec.synthetic)
            if spec.synthetic
            else (data.train_images[:0], data.train_labels[:0])
        )
        left_out = _left_out(reader, run, spec, data)
        held = mixing.contents(
            spec.arm,
            data.train_labels,
            roles.pool,
            synthetic[1],
            len(data.info.classes),
            seed,
            spec.nested,
            roles.whole,
            left_out,
        )
    except (SpecError, ValueError) as error:
        raise Refused(str(error), getattr(error, "field", "")) from None
    if len(held.noise):
        raise Refused(
            f"{run.id} is an arm with noise images, which are not stored; choose another arm.",
            "run",
        )
    real = np.concatenate([held.real, held.duplicated])
    images = _Joined(data.train_images, real, synthetic[0], held.synthetic, data.info.size)
    labels = np.concatenate([data.train_labels[real], synthetic[1][held.synthetic]])
    origin = [f"real: {spec.dataset} training image {i}" for i in held.real]
    origin += [f"real: {spec.dataset} training image {i}" for i in held.duplicated]
    labels_of = _labels(reader.get(spec.synthetic)) if spec.synthetic else {}
    origin += [f"synthetic: {spec.synthetic} image {i}" for i in held.synthetic]
    card = {**_card(run), **labels_of, "arm": spec.arm, "seed": seed}
    if spec.without_near_copies:
        card["left_out"] = {"run": spec.synthetic, "images": left_out.tolist()}
    return images, labels, data.info.classes, origin, card


def _left_out(reader: Reader, run: Run, spec: ClassifySpec, data: catalog.DataSet) -> np.ndarray:
    """Indices (n,) of the synthetic images that a classifier left out, as its result says, or as
    they are known before it is done. Raises Refused."""
    if not spec.without_near_copies:
        return mixing.NONE
    if (said := (run.result() or {}).get("left_out")) is not None:
        return np.array(said["images"], np.int64)
    found = memory.known(reader.get(spec.synthetic).path, data)
    if found is None:
        raise Refused(
            f"{run.id} cannot be exported yet: which near-copies it leaves out is found when it"
            " runs.",
            "run",
        )
    return found.left_out()


def _qualities(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What the card of a mix says on its generators: whether they were trained enough."""
    names = ("key", "name", "quality", "recognition", "steps", "promised_steps")
    return [{name: g.get(name) for name in names} for g in report["generators"]]


class _Joined:
    """Real images followed by synthetic ones, read one by one. All have the size of the real
    ones."""

    def __init__(
        self,
        real: np.ndarray,
        real_index: np.ndarray,
        synthetic: np.ndarray,
        index: np.ndarray,
        size: int,
    ):
        self._parts = ((real, real_index), (synthetic, index))
        self._size = size

    def __len__(self) -> int:
        return sum(len(index) for _, index in self._parts)

    def __iter__(self) -> Iterator[np.ndarray]:
        for images, index in self._parts:
            for i in index:
                yield imageset.resized(np.asarray(images[i : i + 1]), self._size)[0]


def _labels(run: Run) -> dict[str, Any]:
    """What a card says of labels that a classifier gave to synthetic images."""
    by = labelled_by(run)
    return {exporting.LABELLED_BY: by} if by else {}


def _card(run: Run) -> dict[str, Any]:
    return {
        "made_by": "DreamLab",
        "run": run.id,
        "name": run.record.name,
        "command": run.record.command,
        "settings": run.record.spec,
    }
