"""The base class of all classifiers: a network that computes features, and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """Normalised images (N, C, H, W) float to logits (N, classes). A subclass defines `features`
    and sets `dimensions`, the number of features."""

    dimensions: int
    head: nn.Linear

    def features(self, x: Tensor) -> Tensor:
        """The penultimate features (N, dimensions) of images (N, C, H, W)."""
        raise TypeError(
            f"{type(self).__name__} has no features of its own: a classifier defines them"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        logits: Tensor = self.head(self.features(x))
        return logits
