"""Whether a classify run can compute the features of a set."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.data import catalog
from dreamlab.settings import ClassifySpec, FidelitySpec, SpecError
from dreamlab.store.run_files import WEIGHTS
from dreamlab.store.states import ACTIVE

FIELD = "Own classifier (--classifier)"


def check_own_classifier(spec: FidelitySpec, known: Known, dataset: str) -> None:
    """Raises SpecError if the extractor `own` has no classifier, if its run did not keep its
    weights, or if it was trained on images with other channels or classes than those of `dataset`.
    Another size is no reason: images are resized. Raises RunError and DataError."""
    if spec.extractor != "own":
        if spec.classifier:
            raise SpecError(
                f"{FIELD}: {spec.classifier} is not used by the extractor {spec.extractor}; choose"
                " --extractor own, or leave it out.",
                "classifier",
            )
        return
    if not spec.classifier:
        raise SpecError(
            f"{FIELD}: the extractor own needs a classify run with --keep-weights; name one.",
            "classifier",
        )
    trained = known.spec(spec.classifier)
    assert isinstance(trained, ClassifySpec), "the setting names a classify run"
    if not trained.keep_weights:
        raise SpecError(
            f"{FIELD}: {spec.classifier} did not keep its weights; run it with --keep-weights.",
            "classifier",
        )
    folder = known.folder(spec.classifier)
    if folder and known.state(spec.classifier) not in ACTIVE and not (folder / WEIGHTS).is_file():
        raise SpecError(
            f"{FIELD}: {folder / WEIGHTS} is not there; run the classifier anew.", "classifier"
        )
    own, wanted = catalog.info(trained.dataset), catalog.info(dataset)
    if own.channels != wanted.channels:
        raise SpecError(
            f"{FIELD}: {spec.classifier} reads images with {own.channels} colour channels, but"
            f" {wanted.title} has {wanted.channels}; choose a classifier of the same data.",
            "classifier",
        )
    if own.classes != wanted.classes:
        raise SpecError(
            f"{FIELD}: {spec.classifier} knows the classes of {own.title}, not those of"
            f" {wanted.title}; choose a classifier of the same classes.",
            "classifier",
        )
