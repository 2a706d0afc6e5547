"""The registry of classifiers: title, cost of a training step, and where the network is.

It does not import torch, so that the dashboard and the estimates can use it. `networks.build` makes
a network.
"""

from __future__ import annotations

import dataclasses

from dreamlab.settings.names import ClassifierName


@dataclasses.dataclass(frozen=True)
class KnownClassifier:
    """One row of the registry."""

    name: ClassifierName
    title: str
    """Its name in the dashboard."""
    cost: float
    """Time of a training step at 28x28 pixels, relative to small_cnn. Measured by
    `tests.bench.classifiers.costs`."""
    network: str
    """"module:function" of (channels, size, classes) -> Classifier, where `size` is the side of the
    square images in pixels, at least 8."""


CLASSIFIERS: dict[str, KnownClassifier] = {
    c.name: c
    for c in (
        KnownClassifier("small_cnn", "small CNN", 1.0, "dreamlab.classifiers.plain:small_cnn"),
        KnownClassifier("cnn", "CNN", 2.1, "dreamlab.classifiers.plain:cnn"),
        KnownClassifier("mlp", "MLP", 0.3, "dreamlab.classifiers.plain:MLP"),
        KnownClassifier(
            "unet_encoder", "U-Net encoder", 124.0, "dreamlab.classifiers.attention:unet_encoder"
        ),
        KnownClassifier(
            "unet_encoder_small",
            "U-Net encoder, small",
            5.2,
            "dreamlab.classifiers.attention:unet_encoder_small",
        ),
        KnownClassifier("resnet18", "ResNet-18", 102.0, "dreamlab.classifiers.published:resnet18"),
        KnownClassifier("resnet50", "ResNet-50", 269.0, "dreamlab.classifiers.published:resnet50"),
        KnownClassifier(
            "resnet101", "ResNet-101", 489.0, "dreamlab.classifiers.published:resnet101"
        ),
        KnownClassifier(
            "resnet152", "ResNet-152", 688.0, "dreamlab.classifiers.published:resnet152"
        ),
        KnownClassifier("vgg16", "VGG-16", 63.0, "dreamlab.classifiers.published:VGG16"),
        KnownClassifier("vit_s", "ViT-S", 255.0, "dreamlab.classifiers.published:vit_s"),
        KnownClassifier("vit_b", "ViT-B", 1033.0, "dreamlab.classifiers.published:vit_b"),
        KnownClassifier("vit_l", "ViT-L", 2789.0, "dreamlab.classifiers.published:vit_l"),
        KnownClassifier("swin_t", "Swin-T", 112.0, "dreamlab.classifiers.published:SwinT"),
    )
}
"""Name -> classifier, in the order in which choices list them."""


class UnknownClassifier(ValueError):
    """There is no classifier of this name, or its network is missing. The message is one
    sentence."""


def find(name: str) -> KnownClassifier:
    """The classifier of this name. Raises UnknownClassifier."""
    if name not in CLASSIFIERS:
        raise UnknownClassifier(
            f"There is no classifier {name!r}; there are {', '.join(CLASSIFIERS)}."
        )
    return CLASSIFIERS[name]
