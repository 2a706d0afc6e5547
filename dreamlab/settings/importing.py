"""Settings of an import: images from elsewhere, real or synthetic."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.names import LayoutName, TorchvisionName
from dreamlab.settings.real_data import DATASETS
from dreamlab.settings.setting import setting

READ, PREPARE = "Labels", "Preprocessing"


class ImportSpec(Spec):
    """Settings of an import."""

    kind: ClassVar[str] = "import"
    summary: ClassVar[str] = (
        "Import images: a folder, ZIP, tar, .npz or Parquet, a torchvision or a Hugging Face set."
    )

    source: str = setting(
        ...,
        "Images to import: a folder, a file or a download.",
        detail="A folder, ZIP or tar of images with class folders or a table of labels; an .npz;"
        " Parquet files, or a folder that datasets.save_to_disk wrote;"
        f" torchvision:{', torchvision:'.join(get_args(TorchvisionName))};"
        " or huggingface:OWNER/NAME[:CONFIG[:SPLIT]].",
        label="From",
        flag="from",
        min_length=1,
        path=True,
    )
    role: Literal["real", "synthetic"] = setting(
        "real",
        "Whether the images are real or synthetic.",
        detail="real: they become a data set of their own. synthetic: they were generated"
        " elsewhere, for the classes of a data set.",
    )
    dataset: str = setting(
        "",
        "Data set whose classes synthetic images belong to.",
        detail="All classes are matched by name, or all by number from 0. Leave it empty for real"
        " images.",
        label="Classes of",
        run_kind="import",
        choices=DATASETS,
    )
    extends: str = setting(
        "",
        "Imported set that these images are added to.",
        detail="They make a new version of it: a set of its own with all images of both. Images"
        " that it has already are left out, and its test images stay test images. Classes are"
        " matched as those of synthetic images; size, colour, fit and mirroring are those of the"
        " set.",
        label="Added to",
        run_kind="import",
        added="",
    )
    layout: LayoutName = setting(
        "auto",
        "How the images are labelled; auto recognises it.",
        detail="top, joined, leaf: by folders; if folders lie inside class folders, the outer one,"
        " the whole path or the inner one is the class. table: by a table of files and labels."
        " unlabelled: not at all, all images are one class. auto stops and asks if the files can be"
        " read in more than one way.",
        section=READ,
        added="auto",
    )
    labels: str = setting(
        "",
        "Table and column of the labels, as FILE:COLUMN.",
        detail="Such as train.csv:species. Empty: usual names decide. :COLUMN is a column of"
        " Parquet or Arrow files or of a data set of the hub, or an array of an .npz.",
        section=READ,
        added="",
    )
    image_column: str = setting(
        "",
        "Column of the images in Parquet or Arrow files.",
        detail="Also of a data set of the hub. Empty: the only column that holds images.",
        section=READ,
        added="",
    )
    split_column: str = setting(
        "",
        "Column of the table that tells training and test images.",
        detail="Empty: a column with a usual name, such as split, if its values are names of"
        " splits.",
        section=READ,
        added="",
    )
    classes: str = setting(
        "",
        "Classes with another name here, as FROM=TO, ...",
        detail="TO is a new name; for synthetic images a class of the data set or its number."
        " Several classes may become one, and FROM= leaves a class out. Such as"
        " fire engine=truck,tow truck=truck.",
        section=READ,
        added="",
    )
    class_map: str = setting(
        "",
        "The same as a CSV file with the columns from and to.",
        detail="Synthetic images of classes that it does not name are left out. s3 is the map of"
        " study S3, from ImageNet's names and numbers to truck and ship.",
        section=READ,
        added="",
        path=True,
    )
    image_size: int = setting(
        0,
        "Size of the imported images; 0 chooses it.",
        detail="With 0: the size of the images, if all have the same size; otherwise that of the"
        " data set for synthetic images, and 64 for real ones.",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
    )
    fit: Literal["crop", "pad", "stretch"] = setting(
        "crop",
        "How an image that is not square becomes square.",
        detail="crop: its middle is kept. pad: a border is added. stretch: its sides are scaled"
        " differently.",
        section=PREPARE,
    )
    color: Literal["auto", "grey", "rgb"] = setting(
        "auto",
        "Colour of the imported images.",
        detail="auto: grey if all images are grey, otherwise RGB.",
        section=PREPARE,
    )
    mirror: bool = setting(
        True,
        "Whether a mirrored image keeps its class.",
        detail="If yes, augmentation may mirror images. Use no for digits and letters.",
        label="May be mirrored",
        section=PREPARE,
    )
    test_share: float = setting(
        0.2,
        "Share of every class that is kept for testing.",
        detail="Used only if the source has no test split of its own.",
        ge=0.01,
        le=0.9,
        step=0.01,
        section=PREPARE,
    )
    split_seed: int = setting(
        0,
        "Seed that picks the images kept for testing.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=PREPARE,
    )
    max_images: int = setting(
        0,
        "Most images to import; 0 imports all.",
        detail="The same share of every class is taken.",
        ge=0,
        le=2_000_000,
        log=True,
        section=PREPARE,
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ImportSpec:
        if self.role == "synthetic" and not self.dataset:
            raise SpecError(
                "Classes of (--dataset): synthetic images need the data set whose classes they"
                " belong to; name it, such as mnist5k.",
                "dataset",
            )
        if self.extends and self.role == "synthetic":
            raise SpecError(
                f"Added to (--extends): {self.extends!r} cannot be used for synthetic images, which"
                " do not become part of a real set; leave it empty, or give --role real.",
                "extends",
            )
        if self.role == "real" and self.dataset:
            raise SpecError(
                f"Classes of (--dataset): {self.dataset!r} cannot be used for real images, which"
                " bring classes of their own; leave it empty, or give --role synthetic.",
                "dataset",
            )
        return self
