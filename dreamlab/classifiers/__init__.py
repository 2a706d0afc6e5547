"""Networks of classifiers, without a training loop."""

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import CLASSIFIERS, parameters

__all__ = ["CLASSIFIERS", "Classifier", "parameters"]
