"""Whether a classify run gives the CAS of a set, and the run that is taken if none is named."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.checks.synthetic_set import held_images, set_dataset
from dreamlab.data import contents
from dreamlab.experiments import cas
from dreamlab.experiments.identity import data_of, images_read
from dreamlab.settings import ClassifySpec, FidelitySpec, Spec, SpecError, make
from dreamlab.settings.fidelity import CAS_RUN
from dreamlab.store import Run
from dreamlab.store.run_files import kind_in


def with_cas_run(spec: Spec, known: Known) -> Spec:
    """The spec of a fidelity run with the classify run that its metric cas takes; unchanged for
    other specs, if one is named, and if there is none. Raises SpecError, RunError or DataError."""
    if not isinstance(spec, FidelitySpec) or "cas" not in spec.metrics or spec.cas_run:
        return spec
    set_dataset(known, spec.images, "images")
    dataset, folder = data_of(spec, known) or ("", "")

    def done(run: Run) -> bool:
        return known.state(run.id) == "done"

    runs = [known.get(name) for name in known.store.ids() if kind_in(name) == "classify"]
    found = cas.best_on(spec.images, contents.images_of(dataset, folder), runs, done)
    return make(FidelitySpec, {**spec.model_dump(), "cas_run": found.id}) if found else spec


def check_cas(spec: FidelitySpec, known: Known) -> None:
    """Raises SpecError if the named run is not one on the set alone with the same real images, or
    if nothing else than the CAS is wanted and no run gives it. Raises RunError and DataError."""
    if "cas" not in spec.metrics:
        return
    if not spec.cas_run:
        if spec.metrics == ("cas",):
            raise SpecError(cas_lacking(spec, known), "metrics")
        return
    trained = known.spec(spec.cas_run)
    assert isinstance(trained, ClassifySpec), "the setting names a classify run"
    if not cas.is_on(trained, spec.images):
        on = f" of {trained.synthetic}" if trained.synthetic else ""
        without = " without near-copies" if trained.without_near_copies else ""
        raise SpecError(
            f"{CAS_RUN}: {spec.cas_run} was trained on the arm {trained.arm}{on}{without}; name a"
            f" run with --arm synthetic --synthetic {spec.images}, or leave it out.",
            "cas_run",
        )
    dataset, folder = data_of(spec, known) or ("", "")
    read = images_read(known.get(spec.cas_run), trained.dataset)
    if read != contents.images_of(dataset, folder):
        raise SpecError(
            f"{CAS_RUN}: {spec.cas_run} was tested on other images than {dataset} has now; name a"
            " run on the same images, or leave it out.",
            "cas_run",
        )


def cas_lacking(spec: FidelitySpec, known: Known) -> str:
    """The sentence for a set without a CAS. Raises SpecError, RunError or DataError."""
    dataset, folder = data_of(spec, known) or ("", "")
    _, labelled = set_dataset(known, spec.images, "images")
    held = held_images(known, spec.images)
    return cas.lacking(spec.images, dataset, folder, held[1] if held else None, labelled)
