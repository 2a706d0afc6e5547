"""Settings of a study: which published study, at which scale."""

from __future__ import annotations

from typing import ClassVar

from dreamlab.settings.base import Spec
from dreamlab.settings.names import DeviceName, ScaleName, StudyName
from dreamlab.settings.real_data import DATA_DIR_HELP, DATASETS, DEVICE_HELP
from dreamlab.settings.setting import setting


class StudySpec(Spec):
    kind: ClassVar[str] = "study"
    summary: ClassVar[str] = "Run one of the published studies and set its numbers beside ours."

    study: StudyName = setting(..., "Which study; `studies` lists what each of them asks.")
    scale: ScaleName = setting(
        "laptop",
        "laptop: the same protocol on digits in minutes; middle: on a real data set in about an"
        " hour; corrected: the study's size without its mistakes; paper: as published.",
    )
    dataset: str = setting(
        "",
        "Data set to use instead of the one of the scale: a name, or an import run.",
        label="Data",
        run_kind="import",
        choices=DATASETS,
    )
    data_dir: str = setting("", DATA_DIR_HELP, label="Data folder")
    seeds: int = setting(0, "Classifiers per arm; 0 takes the number of the scale.", ge=0, le=100)
    device: DeviceName = setting("auto", DEVICE_HELP, advanced=True, affects_result=False)
