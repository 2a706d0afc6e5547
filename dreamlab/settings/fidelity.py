"""Settings of a fidelity run: a synthetic set against real images."""

from __future__ import annotations

from typing import ClassVar, Literal

from dreamlab.settings.base import Spec
from dreamlab.settings.names import DeviceName, ExtractorName
from dreamlab.settings.real_data import DATA_DIR_DETAIL, DATA_DIR_HELP, DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.setting import setting


class FidelitySpec(Spec):
    kind: ClassVar[str] = "fidelity"
    summary: ClassVar[str] = (
        "Measure Frechet distance and KID of a synthetic set against real images."
    )

    images: str = setting(
        ...,
        "Synthetic set to measure.",
        detail="Made here, or imported.",
        label="Synthetic set",
        run_kind="synthesize|import",
        min_length=1,
    )
    extractor: ExtractorName = setting(
        "classifier",
        "Network that computes the features.",
        detail="classifier: one trained here on the real data; the distance is called"
        " fd_classifier. inception: Inception-v3; the distance is the FID.",
    )
    inception_weights: str = setting(
        "",
        "File with the standard weights of Inception-v3.",
        detail="weights-inception-2015-12-05-6726825d.pth, for the inception extractor.",
        advanced=True,
    )
    reference: Literal["test", "train"] = setting(
        "test", "Real images to compare with: which split."
    )
    data_dir: str = setting(
        "",
        DATA_DIR_HELP,
        detail=DATA_DIR_DETAIL
        + " Only for imported sets; the others know it from their generator.",
        label="Data folder",
        advanced=True,
        affects_result=False,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, advanced=True, affects_result=False
    )
