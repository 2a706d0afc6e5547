"""Which real images a run may use: what the specs of generators, classifiers and mixes share."""

from __future__ import annotations

import typing

from dreamlab.settings.base import Spec
from dreamlab.settings.names import DatasetName
from dreamlab.settings.setting import setting

DATASETS: tuple[str, ...] = typing.get_args(DatasetName)
DATA_HELP = (
    "Data set by name, or an import run; mnist5k and digits are inside installed packages, the"
    " others are read from a folder."
)
DATA_DIR_HELP = (
    "Folder or .npz file that already holds the data set (for mnist, fashion_mnist and cifar10)."
)
DEVICE_HELP = "Where to compute; auto takes a CUDA device where there is one."
DATA = "Data"


class RealData(Spec):
    """A selection from the training split, made class by class and in this order: validation is set
    aside, then `images_per_class` are drawn, the long tail thins them, `share` keeps a part. With
    one `subset_seed` a smaller selection lies inside a larger one. Made into indices by
    `dreamlab.data.selection.select`."""

    dataset: str = setting(
        "mnist5k", DATA_HELP, label="Data", run_kind="import", choices=DATASETS, min_length=1
    )
    images_per_class: int = setting(
        0,
        "Real images per class that may be used, drawn from the training split; 0 uses all of"
        " them.",
        label="Real images per class",
        ge=0,
        le=100_000,
        log=True,
    )
    data_dir: str = setting("", DATA_DIR_HELP, label="Data folder", section=DATA, advanced=True)
    subset_seed: int = setting(
        0,
        "Which real images are drawn when fewer than all are used; the same number draws the same"
        " images.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=DATA,
        advanced=True,
    )
    long_tail: float = setting(
        0.0,
        "Share of its images that the last class keeps; the classes between fall geometrically"
        " (imbalance factor 1 / share, Cui et al. 2019). 0 keeps the classes as they are.",
        ge=0,
        le=1,
        step=0.01,
        section=DATA,
        advanced=True,
    )
    validation: float = setting(
        0.0,
        "Share of every class that is set aside: neither generator nor classifier trains on it.",
        label="Validation share",
        ge=0,
        le=0.5,
        step=0.01,
        section=DATA,
        advanced=True,
    )
    share: float = setting(
        1.0,
        "Share of what is left of every class that is used.",
        label="Share of these",
        gt=0,
        le=1,
        step=0.01,
        section=DATA,
        advanced=True,
    )
