"""Settings of a sweep: a curve of fidelity against a setting, or a heat map of two."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.fidelity import (
    check_measures,
    extractor_dir_setting,
    inception_weights_setting,
    measures,
    metrics_setting,
    own_classifier_setting,
)
from dreamlab.settings.names import (
    AxisName,
    DeviceName,
    ExtractorName,
    ImageMeasureName,
    SamplerName,
)
from dreamlab.settings.real_data import DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.sampling import guidance_weight_setting, num_steps_setting
from dreamlab.settings.setting import setting

Value = float | SamplerName
"""A value of an axis: a number, or the name of a sampler."""


class SweepSpec(Spec):
    """Settings of a sweep."""

    kind: ClassVar[str] = "sweep"
    summary: ClassVar[str] = (
        "Measure fidelity against one or two settings of sampling, or T (trains a generator per T)."
    )

    source: str = setting(
        ...,
        "Generator to draw the curve for.",
        label="Generator",
        flag="from",
        run_kind="train",
        min_length=1,
    )
    axis: AxisName = setting(
        "guidance_weight",
        "Setting that is varied.",
        detail="num_train_timesteps trains a new generator for every T; num_steps with the sampler"
        " ddpm is a T that is respaced from one model. checkpoint: training steps of kept"
        " checkpoints. per_class: number of images. logvar_coefficient samples with ddpm, eta"
        " with ddim.",
        label="Curve against",
    )
    values: tuple[Annotated[float, Field(ge=0)] | SamplerName, ...] = setting(
        (),
        "Values of the varied setting, as a list.",
        detail="If it is empty, a list of common values is used.",
        max_length=40,
    )
    second_axis: Literal["none"] | AxisName = setting(
        "none",
        "Second setting that is varied, for a heat map.",
        detail="Every value of the one is measured with every value of the other.",
        label="And against",
        added="none",
    )
    second_values: tuple[Annotated[float, Field(ge=0)] | SamplerName, ...] = setting(
        (),
        "Values of the second setting, as a list.",
        detail="If it is empty, a list of common values is used.",
        max_length=40,
        added=(),
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
    inception_weights: str = inception_weights_setting()
    extractor_dir: str = extractor_dir_setting()
    classifier: str = own_classifier_setting()
    metrics: tuple[ImageMeasureName, ...] = metrics_setting(("fd", "kid"))
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

    @field_validator("metrics", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return measures(value, get_args(ImageMeasureName))

    @property
    def axes(self) -> dict[AxisName, tuple[Value, ...]]:
        """The varied settings with their values; empty values mean common ones."""
        first: dict[AxisName, tuple[Value, ...]] = {self.axis: self.values}
        return (
            first if self.second_axis == "none" else {**first, self.second_axis: self.second_values}
        )

    @model_validator(mode="after")
    def _axes_fit_together(self) -> SweepSpec:
        check_measures(self.metrics, self.extractor)
        if self.second_values and self.second_axis == "none":
            raise SpecError(
                "Values of the second setting (--second-values): there is no second setting; name"
                " one with --second-axis.",
                "second_values",
            )
        if self.second_axis == self.axis:
            raise SpecError(
                f"And against (--second-axis): {self.axis} is varied already; choose another"
                " setting.",
                "second_axis",
            )
        own = {"logvar_coefficient": "ddpm", "eta": "ddim"}
        for name in self.axes:
            others = [other for other in self.axes if other in ("sampler", *own) and other != name]
            if name in own and others:
                raise SpecError(
                    f"And against (--second-axis): {name} is a setting of {own[name]} and cannot"
                    f" be varied with {others[0]}.",
                    "second_axis",
                )
        return self


DEFAULT_VALUES: dict[AxisName, tuple[Value, ...]] = {
    "guidance_weight": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
    "num_steps": (4.0, 6.0, 10.0, 20.0, 50.0),
    "num_train_timesteps": (50.0, 200.0, 1000.0),
    "sampler": get_args(SamplerName),
    "checkpoint": (),
    "per_class": (20.0, 50.0, 100.0, 200.0),
    "logvar_coefficient": (0.0, 0.25, 0.5, 0.75, 1.0),
    "eta": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Axis -> the values that are measured if none are given; for checkpoints all that were kept."""
WHOLE = ("num_steps", "num_train_timesteps", "checkpoint", "per_class")
"""Axes with whole numbers."""
