"""Spec of an import: images from elsewhere, real or synthetic, made into a set that every other run
can use."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.real_data import DATASETS
from dreamlab.settings.setting import setting

PREPARE = "Preprocessing"


class ImportSpec(Spec):
    kind: ClassVar[str] = "import"
    summary: ClassVar[str] = (
        "Import images: class folders, a ZIP, an .npz, a torchvision or a Hugging Face data set."
    )

    source: str = setting(
        ...,
        "Folder of class folders, ZIP or .npz file; or what to download: torchvision:mnist,"
        " torchvision:fashion_mnist, torchvision:cifar10, torchvision:flowers102, or"
        " huggingface:OWNER/NAME.",
        label="From",
        flag="from",
        min_length=1,
    )
    role: Literal["real", "synthetic"] = setting(
        "real",
        "real: a data set of its own; synthetic: images made elsewhere, for the classes of another"
        " data set.",
    )
    dataset: str = setting(
        "",
        "Data set whose classes the synthetic images belong to; class folders or labels are matched"
        " by name, then by number.",
        label="Classes of",
        run_kind="import",
        choices=DATASETS,
    )
    image_size: int = setting(
        0,
        "Side of the imported images; 0 keeps the size where all are alike, takes that of the data"
        " set for synthetic images, and 64 otherwise.",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
    )
    fit: Literal["crop", "pad", "stretch"] = setting(
        "crop",
        "How an image that is not square is made so: its middle, with a border, or stretched.",
        section=PREPARE,
        advanced=True,
    )
    color: Literal["auto", "grey", "rgb"] = setting(
        "auto",
        "Colour of the imported images; auto keeps grey where all are grey.",
        section=PREPARE,
        advanced=True,
    )
    mirror: bool = setting(
        True,
        "A mirrored image is still one of its class: augmentation may mirror; wrong for digits and"
        " letters.",
        label="May be mirrored",
        section=PREPARE,
        advanced=True,
    )
    test_share: float = setting(
        0.2,
        "Share of every class that is kept for the test, where the source has no test part of its"
        " own.",
        ge=0.01,
        le=0.9,
        step=0.01,
        section=PREPARE,
        advanced=True,
    )
    split_seed: int = setting(
        0,
        "Which images are kept for the test.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=PREPARE,
        advanced=True,
    )
    max_images: int = setting(
        0,
        "Images to take at most, the same share of every class; 0 takes all.",
        ge=0,
        le=2_000_000,
        log=True,
        section=PREPARE,
        advanced=True,
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ImportSpec:
        if self.role == "synthetic" and not self.dataset:
            raise SpecError(
                "Classes of (--dataset): synthetic images need the data set whose classes they"
                " belong to; name it, such as mnist5k.",
                "dataset",
            )
        if self.role == "real" and self.dataset:
            raise SpecError(
                f"Classes of (--dataset): {self.dataset!r} cannot be used for real images, which"
                " bring classes of their own; leave it empty, or give --role synthetic.",
                "dataset",
            )
        return self
