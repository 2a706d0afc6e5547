"""Settings that select real images, shared by generators, classifiers and mixes."""

from __future__ import annotations

import typing

from dreamlab.settings.base import Spec
from dreamlab.settings.names import DatasetName
from dreamlab.settings.setting import setting

DATASETS: tuple[str, ...] = typing.get_args(DatasetName)
DATA_DIR_HELP = "Folder or .npz file that holds the data set."
DATA_DIR_DETAIL = "Needed for mnist, fashion_mnist and cifar10."
DEVICE_HELP = "Device to compute on."
DEVICE_DETAIL = "auto: a CUDA GPU if there is one, otherwise the CPU."
DATA = "Data"


class RealData(Spec):
    """A selection from the training split of a data set.

    It is made class by class, in this order: `validation` images are set aside; `skip_per_class`
    are left to other runs; `images_per_class` are drawn from the rest; `long_tail` removes some;
    `share` keeps a part. With the same `subset_seed`, a smaller selection is a subset of a larger
    one, and the images that one run skips are those that another draws.
    `dreamlab.data.selection.select` turns the settings into indices.
    """

    dataset: str = setting(
        "mnist5k",
        "Data set: a name, or an import run.",
        detail="mnist5k and digits come with installed packages; DreamLab draws shapes. The others"
        " are read from a folder.",
        label="Data",
        run_kind="import",
        choices=DATASETS,
        min_length=1,
    )
    images_per_class: int = setting(
        0,
        "Real images per class; 0 uses all of them.",
        detail="They are drawn from the training split.",
        label="Real images per class",
        ge=0,
        le=100_000,
        log=True,
    )
    data_dir: str = setting(
        "",
        DATA_DIR_HELP,
        detail=DATA_DIR_DETAIL,
        label="Data folder",
        section=DATA,
        affects_result=False,  # the content does, and is part of the hash
        path=True,
    )
    subset_seed: int = setting(
        0,
        "Seed that picks the real images.",
        detail="It matters only if not all images are used. The same seed picks the same images.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=DATA,
    )
    skip_per_class: int = setting(
        0,
        "Real images of every class that are left to other runs.",
        detail="With the same subset seed, they are those that a run with as many images per class"
        " draws: a classifier can be trained on what its generator has not seen.",
        ge=0,
        le=100_000,
        log=True,
        section=DATA,
        added=0,
    )
    long_tail: float = setting(
        0.0,
        "Long tail: share of images that the last class keeps.",
        detail="Class sizes decrease geometrically from the first class to the last (imbalance"
        " factor 1 / share, Cui et al. 2019). 0 leaves the classes as they are.",
        ge=0,
        le=1,
        step=0.01,
        section=DATA,
    )
    validation: float = setting(
        0.0,
        "Share of every class that is set aside.",
        detail="Neither generators nor classifiers are trained on these images.",
        label="Validation share",
        ge=0,
        le=0.5,
        step=0.01,
        section=DATA,
    )
    share: float = setting(
        1.0,
        "Share of the selected images that is used.",
        detail="The same share of every class, taken after all other selection.",
        label="Share used",
        gt=0,
        le=1,
        step=0.01,
        section=DATA,
    )


class RealPart(RealData):
    """Real images without those that an arm replaces: what its generator may be trained on."""

    replaced: float = setting(
        0.0,
        "Share of every class that synthetic images replace.",
        detail="0.1: the real images of the arm 90/10, counted as the arm counts them, and the same"
        " ones for every seed. They are drawn after all other selection. A mix sets it for a"
        " generator per arm.",
        label="Replaced share",
        ge=0,
        lt=1,
        step=0.01,
        section=DATA,
        added=0.0,
    )
