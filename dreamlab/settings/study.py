"""Settings of a study: which published study is repeated, and at which scale."""

from __future__ import annotations

from typing import ClassVar, Literal

from dreamlab.settings.base import Spec
from dreamlab.settings.fidelity import inception_weights_setting
from dreamlab.settings.names import DeviceName, ScaleName, StudyName
from dreamlab.settings.real_data import (
    DATA_DIR_DETAIL,
    DATA_DIR_HELP,
    DATASETS,
    DEVICE_DETAIL,
    DEVICE_HELP,
)
from dreamlab.settings.setting import setting


class StudySpec(Spec):
    """Settings of a study."""

    kind: ClassVar[str] = "study"
    summary: ClassVar[str] = "Repeat a published study and compare the numbers with its own."

    study: StudyName = setting(
        ..., "Name of the study.", detail="The command `studies` lists them with their questions."
    )
    scale: ScaleName = setting(
        "laptop",
        "Size at which the study is run.",
        detail="laptop: the same protocol on digits, in minutes. middle: on a real data set, in"
        " about an hour. corrected: at the study's size and without its mistakes. paper: as"
        " published.",
    )
    dataset: tuple[str, ...] = setting(
        (),
        "Data set that replaces the one of the scale.",
        detail="A name, or an import run. A study of several data sets (s4-tsweep) takes several,"
        " one for each column of its table.",
        label="Data",
        run_kind="import",
        choices=DATASETS,
    )
    data_dir: str = setting(
        "",
        DATA_DIR_HELP,
        detail=DATA_DIR_DETAIL,
        label="Data folder",
        affects_result=False,
        path=True,
    )
    synthetic: str = setting(
        "",
        "Synthetic set that replaces one of the study's own.",
        detail="An imported or sampled set, in place of the images of a generator of the study."
        " Only scales that name the part that it replaces take one: those of s3-tail and"
        " s3-targeted.",
        label="Synthetic set",
        run_kind="synthesize|import",
        advanced=True,
        added="",
    )
    seeds: int = setting(0, "Classifiers per arm; 0: the number of the scale.", ge=0, le=100)
    extractor: Literal["classifier", "inception"] = setting(
        "classifier",
        "Network that computes the features of distances.",
        detail="classifier: one trained here on the real data. inception: Inception-v3, so that"
        " the distances are FIDs like the published ones.",
        advanced=True,
        added="classifier",
    )
    inception_weights: str = inception_weights_setting(added="")
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, advanced=True, affects_result=False
    )
