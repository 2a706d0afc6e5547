"""Settings of a fidelity run: a synthetic set against real images."""

from __future__ import annotations

from typing import ClassVar, Literal

from dreamlab.settings.base import Spec
from dreamlab.settings.names import DeviceName, ExtractorName
from dreamlab.settings.real_data import DATA_DIR_HELP, DEVICE_HELP
from dreamlab.settings.setting import setting


class FidelitySpec(Spec):
    kind: ClassVar[str] = "fidelity"
    summary: ClassVar[str] = (
        "Measure Frechet distance and KID of a synthetic set against real images."
    )

    images: str = setting(
        ...,
        "Run of the synthetic set to measure: made here, or imported.",
        label="Synthetic set",
        run_kind="synthesize|import",
        min_length=1,
    )
    extractor: ExtractorName = setting(
        "classifier",
        "Features: a classifier trained here on the real data (fd_classifier), or Inception-v3"
        " (FID).",
    )
    inception_weights: str = setting(
        "",
        "File of the standard Inception weights (weights-inception-2015-12-05-6726825d.pth), for"
        " the inception extractor.",
        advanced=True,
    )
    reference: Literal["test", "train"] = setting("test", "Which real split to compare with.")
    data_dir: str = setting(
        "",
        DATA_DIR_HELP + " Only for imported sets: others know it from their generator.",
        label="Data folder",
        advanced=True,
        affects_result=False,
    )
    device: DeviceName = setting("auto", DEVICE_HELP, advanced=True, affects_result=False)
