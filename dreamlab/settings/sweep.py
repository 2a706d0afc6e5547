"""Settings of a sweep: a curve of fidelity against guidance weight, sampler steps or T."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dreamlab.settings.base import Spec
from dreamlab.settings.fidelity import (
    extractor_dir_setting,
    metrics_setting,
    own_classifier_setting,
)
from dreamlab.settings.names import DeviceName, ExtractorName, MeasureName, SamplerName
from dreamlab.settings.real_data import DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.sampling import guidance_weight_setting, num_steps_setting
from dreamlab.settings.setting import setting


class SweepSpec(Spec):
    """Settings of a sweep."""

    kind: ClassVar[str] = "sweep"
    summary: ClassVar[str] = (
        "Measure fidelity against guidance weight, sampler steps, or T (trains a generator per T)."
    )

    source: str = setting(
        ...,
        "Generator to draw the curve for.",
        label="Generator",
        flag="from",
        run_kind="train",
        min_length=1,
    )
    axis: Literal["guidance_weight", "num_steps", "num_train_timesteps"] = setting(
        "guidance_weight",
        "Setting that is varied.",
        detail="num_train_timesteps trains a new generator for every T.",
        label="Curve against",
    )
    values: tuple[Annotated[float, Field(ge=0, le=4000)], ...] = setting(
        (),
        "Values of the varied setting, as a list.",
        detail="If it is empty, a list of common values is used.",
        max_length=40,
    )
    per_class: int = setting(
        50,
        "Synthetic images per class at every point.",
        label="Images per class",
        ge=2,
        le=100_000,
        log=True,
    )
    guidance_weight: float = guidance_weight_setting(
        1.0, "Guidance weight w where it is not varied; 0 is off."
    )
    num_steps: int = num_steps_setting("Sampler steps where they are not varied.")
    sampler: SamplerName = setting("dpmpp_2m", "Sampler at every point.")
    seed: int = setting(
        0,
        "Seed of the noise, the same at every point.",
        ge=0,
        le=2**31 - 1,
        log=True,
        advanced=True,
    )
    extractor: ExtractorName = setting(
        "classifier",
        "Network that computes the features.",
        detail="classifier: one trained here on the real data. inception: Inception-v3."
        " dinov2, clip: from a folder of yours. own: a classify run that kept its weights.",
        advanced=True,
    )
    inception_weights: str = setting(
        "",
        "File with the standard weights of Inception-v3.",
        detail="Needed for the inception extractor.",
        advanced=True,
        affects_result=False,
        path=True,
    )
    extractor_dir: str = extractor_dir_setting()
    classifier: str = own_classifier_setting()
    metrics: tuple[MeasureName, ...] = metrics_setting(("fd", "kid"))
    reference: Literal["validation", "test", "train"] = setting(
        "validation",
        "Real images to compare with.",
        detail="validation: those that the generator set aside with --validation; the training"
        " split if it set none aside. A point that is chosen on test images looks better on them"
        " than it is; papers often draw such curves against test or train.",
        advanced=True,
        added="test",
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, advanced=True, affects_result=False
    )


DEFAULT_VALUES: dict[str, tuple[float, ...]] = {
    "guidance_weight": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
    "num_steps": (4.0, 6.0, 10.0, 20.0, 50.0),
    "num_train_timesteps": (50.0, 200.0, 1000.0),
}
"""Axis -> the values that are measured if none are given."""
