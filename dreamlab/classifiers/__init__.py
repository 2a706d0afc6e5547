"""The networks that are trained on mixes and judged on real test images; no training loop here."""

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import CLASSIFIERS, parameters

__all__ = ["CLASSIFIERS", "Classifier", "parameters"]
