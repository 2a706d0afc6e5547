"""Settings of a fidelity run, which compares a synthetic set with real images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import field_validator, model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.names import DeviceName, ExtractorName, MeasureName
from dreamlab.settings.real_data import DATA_DIR_DETAIL, DATA_DIR_HELP, DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.setting import NONE, setting

FEWEST = 10
"""Smallest number of images for a distance."""
CAS_RUN = "Run of the CAS (--cas-run)"


def metrics_setting(default: tuple[MeasureName, ...], more: str = "") -> Any:
    """The setting `metrics` with this default. `more`: what is said of further metrics."""
    return setting(
        default,
        "What is measured.",
        detail="fd (or fid): Frechet distance, which is the FID with Inception-v3. kid: kernel"
        " distance. prdc: precision, recall, density and coverage. vendi: variety of the set."
        " spread: variance within the classes, 1 for real images. fd_infinite: Frechet distance"
        " without the bias of few images. inception_score: with Inception-v3, of weights that hold"
        " its classifier. memory: how many images are flagged as near-copies of"
        f" training images.{more} all: all of these.",
        min_length=1,
        added=("fd", "kid"),
    )


def measures(value: Any, every: tuple[str, ...] = get_args(MeasureName)) -> Any:
    """The names that a user wrote for `metrics`, as measures: "all" for `every` one, "fid" for
    fd."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        return value
    if [part.strip().lower() for part in parts] == [NONE]:
        return ()
    names = [{"fid": "fd"}.get(part.strip(), part.strip()) for part in parts]
    return every if "all" in names else tuple(dict.fromkeys(filter(None, names)))


def check_measures(metrics: tuple[MeasureName, ...], extractor: ExtractorName) -> None:
    """Raises SpecError if nothing that is asked for can be measured with this extractor."""
    if metrics == ("inception_score",) and extractor != "inception":
        raise SpecError(
            "Metrics (--metrics): inception_score cannot be measured with the features of"
            f" {extractor}; add --extractor inception and its weights (--inception-weights).",
            "metrics",
        )


def inception_weights_setting(**more: Any) -> Any:
    """The setting `inception_weights`."""
    return setting(
        "",
        "File with the standard weights of Inception-v3.",
        detail="weights-inception-2015-12-05-6726825d.pth; needed for the inception extractor.",
        advanced=True,
        affects_result=False,
        path=True,
        **more,
    )


def extractor_dir_setting() -> Any:
    """The setting `extractor_dir`."""
    return setting(
        "",
        "Folder with the files of DINOv2 or CLIP.",
        detail="config.json, model.safetensors and, if there is one, preprocessor_config.json, as"
        " of facebook/dinov2-base (Apache-2.0, 350 MB) or openai/clip-vit-base-patch32 (MIT, 605"
        " MB) on huggingface.co. Nothing is downloaded. Needs the extra features.",
        label="Extractor folder",
        advanced=True,
        affects_result=False,
        path=True,
    )


def own_classifier_setting() -> Any:
    """The setting `classifier`: the run whose features the extractor `own` takes."""
    return setting(
        "",
        "Classify run whose network computes the features.",
        detail="A run with --keep-weights; for the extractor own. Its first seed is used.",
        label="Own classifier",
        run_kind="classify",
        advanced=True,
        added="",
    )


class FidelitySpec(Spec):
    """Settings of a fidelity run."""

    kind: ClassVar[str] = "fidelity"
    summary: ClassVar[str] = "Measure how close a synthetic set is to real images, and how varied."

    images: str = setting(
        ...,
        "Synthetic set to measure.",
        detail="Sampled here, or imported.",
        label="Synthetic set",
        run_kind="synthesize|import",
        min_length=1,
    )
    extractor: ExtractorName = setting(
        "classifier",
        "Network that computes the features.",
        detail="classifier: one trained here on the real data; the distance is called"
        " fd_classifier. inception: Inception-v3; the distance is the FID. dinov2, clip: from a"
        " folder of yours; fd_dinov2, fd_clip. own: a classify run that kept its weights; fd_own.",
    )
    inception_weights: str = inception_weights_setting()
    extractor_dir: str = extractor_dir_setting()
    classifier: str = own_classifier_setting()
    metrics: tuple[MeasureName, ...] = metrics_setting(
        ("fd", "kid", "prdc", "vendi", "spread"),
        " cas: accuracy of classifiers that were trained on the set alone.",
    )
    cas_run: str = setting(
        "",
        "Classify run on this set alone, for the metric cas.",
        detail="Its arm is synthetic. If none is named, the finished one with the most images of"
        " the set, then the most seeds, is taken.",
        label="Run of the CAS",
        run_kind="classify",
        advanced=True,
        added="",
    )
    per_class: bool = setting(
        False,
        "Measure every class by itself as well.",
        detail="A class needs 20 images of either kind, and for a Frechet distance one for each"
        " feature.",
        label="Each class",
        added=False,
    )
    reference: Literal["test", "train", "validation"] = setting(
        "test",
        "Real images to compare with.",
        detail="test, train: a split of the data. validation: the images that the generator of the"
        " set set aside with --validation.",
    )
    data_dir: str = setting(
        "",
        DATA_DIR_HELP,
        detail=DATA_DIR_DETAIL
        + " A set sampled here takes it from its generator; another folder must hold the same"
        " images.",
        label="Data folder",
        advanced=True,
        affects_result=False,
        path=True,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, advanced=True, affects_result=False
    )

    @field_validator("metrics", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return measures(value)

    @model_validator(mode="after")
    def _fits_together(self) -> FidelitySpec:
        check_measures(self.metrics, self.extractor)
        if self.cas_run and "cas" not in self.metrics:
            raise SpecError(
                f"{CAS_RUN}: {self.cas_run} is not used by the metrics {', '.join(self.metrics)};"
                " add cas to --metrics, or leave it out.",
                "cas_run",
            )
        return self
