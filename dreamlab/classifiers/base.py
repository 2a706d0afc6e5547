"""The base class of all classifiers: features and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """Images (N, C, H, W), float, normalised, to logits (N, classes). `features` gives (N,
    dimensions)."""

    dimensions: int
    head: nn.Linear

    def features(self, x: Tensor) -> Tensor:
        """The penultimate features (N, dimensions)."""
        raise TypeError(
            f"{type(self).__name__} has no features of its own: a classifier defines them"
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
