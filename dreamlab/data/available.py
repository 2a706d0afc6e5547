"""The real images that the settings of a run allow."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dreamlab.data import catalog, selection
from dreamlab.settings import RealData, SpecError, make, settings_of


def train_labels(data: RealData) -> np.ndarray:
    """Labels of the training split. Raises SpecError if the data cannot be read."""
    try:
        return catalog.load(data.dataset, data.data_dir).train_labels
    except catalog.DataError as error:
        raise SpecError(str(error), "data_dir") from None


def classes_of(data: RealData) -> tuple[str, ...]:
    """Names of the classes. Raises SpecError."""
    try:
        return catalog.info(data.dataset).classes
    except catalog.DataError as error:
        raise SpecError(str(error), "dataset") from None


def selected(data: RealData) -> selection.Selected:
    """Indices of the real training images that a run may use. Raises SpecError if a class has too
    few."""
    return _roles(real_data(data))


def real_data(data: RealData, **changes: Any) -> RealData:
    """The settings of `data` that select real images, with `changes`."""
    return make(
        RealData, {**{name: getattr(data, name) for name in RealData.model_fields}, **changes}
    )


@functools.lru_cache(maxsize=64)
def _roles(data: RealData) -> selection.Selected:
    try:
        return selection.select(train_labels(data), data, len(classes_of(data)))
    except selection.SplitError as error:
        label, flag = next(
            (k.label, k.flag) for k in settings_of(RealData) if k.name == error.field
        )
        value = getattr(data, error.field)
        raise SpecError(
            f"{label} ({flag}): {value} cannot be used; {error}.", error.field
        ) from None


def available(data: RealData) -> list[int]:
    """Number of real images per class that a run may use. Raises SpecError."""
    return list(_available(real_data(data)))


@functools.lru_cache(maxsize=64)
def _available(data: RealData) -> tuple[int, ...]:
    # a form calls this for every arm at every key press
    found = np.bincount(train_labels(data)[_roles(data).pool], minlength=len(classes_of(data)))
    return tuple(int(n) for n in found)
