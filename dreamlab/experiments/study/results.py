"""Results, predictions and test labels of a study. Each is read once."""

from __future__ import annotations

import numpy as np

from dreamlab.data import catalog
from dreamlab.experiments.children import Children
from dreamlab.experiments.predictions import predictions
from dreamlab.experiments.study.columns import title_of
from dreamlab.experiments.study.plan import datasets_of
from dreamlab.settings import SpecError, StudySpec


class StudyResults:
    """The children of a study and the test labels of its data set, read when they are needed. A
    study of several data sets has no classifiers: `labels` and `info` are those of the first.
    Raises SpecError if a data set is missing."""

    def __init__(self, children: Children, spec: StudySpec):
        self.children, self.spec = children, spec
        datasets = datasets_of(spec)
        self.title = ", ".join(title_of(name) for name in datasets)
        self.dataset = datasets[0]
        self.info = catalog.info(self.dataset)
        self._labels: np.ndarray | None = None
        self._predicted: dict[tuple[str, str], np.ndarray | None] = {}

    @property
    def labels(self) -> np.ndarray:
        """Labels (n,) of the test images. Raises SpecError if they cannot be read."""
        if self._labels is None:
            try:
                self._labels = catalog.load(self.dataset, self.spec.data_dir).test_labels
            except catalog.DataError as error:
                raise SpecError(str(error), "data_dir") from None
        return self._labels

    def predicted(self, role: str, name: str = "class") -> np.ndarray | None:
        """Predicted classes (seeds, n) of a finished classifier; with the name `top5`, (seeds, n,
        5). None if they are missing."""
        result = self.children.result(role)
        if result is not None and (role, name) not in self._predicted:
            folder = self.children.store.folder / self.children.ids[role]
            self._predicted[role, name] = predictions(folder, len(result["seeds"]), name)
        return self._predicted.get((role, name))
