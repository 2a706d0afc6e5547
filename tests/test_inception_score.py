"""The Inception Score: known answers, that of torch-fidelity, and what is said without a
classifier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.fidelity import inception, metrics
from dreamlab.fidelity.inception_score import score, score_interval
from dreamlab.fidelity.strata import Labels
from dreamlab.settings import FidelitySpec, SpecError, SweepSpec, make
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.fidelity.task import without_classifier

RNG = np.random.default_rng(3)


def softmax(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return found


def test_the_score_of_known_answers() -> None:
    assert score(np.eye(4)) == pytest.approx(4), "every class once, each without a doubt"
    assert score(np.full((9, 5), 0.2)) == pytest.approx(1), "nothing is recognised"
    assert score(np.tile([[1.0, 0.0]], (7, 1))) == pytest.approx(1), "one class alone"
    p = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.5)
    assert score(p) == pytest.approx(math.exp(by_hand))
    with pytest.raises(ValueError, match="shape"):
        score(np.empty((0, 3)))


def test_the_score_is_that_of_torch_fidelity() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = RNG.normal(0, 3, (200, 50))
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=1, shuffle=False)
    assert score(softmax(logits)) == pytest.approx(theirs["inception_score_mean"], rel=1e-9)


def test_the_interval_covers_the_score_of_as_many_images() -> None:
    centres, right = np.random.default_rng(5).normal(0, 2, (6, 6)), 0

    def draw(rng: np.random.Generator) -> np.ndarray:
        return softmax(centres[rng.integers(0, 6, 300)] + rng.normal(size=(300, 6)))

    truth = np.mean([score(draw(np.random.default_rng([1, i]))) for i in range(400)])
    for i in range(200):
        found = score_interval(draw(np.random.default_rng([2, i])))
        right += found.low <= truth <= found.high
    assert 0.9 <= right / 200 <= 0.99
    assert np.isnan(score_interval(np.eye(3)).low), "too few images"


def test_order_and_labels_change_nothing_of_the_value() -> None:
    p = softmax(RNG.normal(0, 2, (100, 8)))
    assert score(p[RNG.permutation(100)]) == pytest.approx(score(p), rel=1e-12)
    assert score_interval(p, Labels(np.arange(100) % 4)).mean == pytest.approx(score(p))


class Inception(inception.InceptionExtractor):
    """With a classifier, without a network."""

    def __init__(self, head: np.ndarray | None):
        self.head = head


def test_probabilities_are_those_of_the_classifier_without_biases() -> None:
    head, features = RNG.normal(size=(5, 12)).astype(np.float32), RNG.normal(size=(7, 12))
    found = Inception(head).probabilities(features)
    assert found is not None and np.allclose(found, softmax(features @ head.T), rtol=1e-6)
    assert Inception(None).probabilities(features) is None


def asked(**values: Any) -> FidelitySpec:
    return make(FidelitySpec, {"images": "x", "inception_weights": "w", **values})


def test_what_cannot_be_measured_is_said() -> None:
    only = {"metrics": "inception_score"}
    for spec in (FidelitySpec, SweepSpec):
        named = {"images": "x"} if spec is FidelitySpec else {"source": "x"}
        with pytest.raises(SpecError, match="--extractor inception"):
            make(spec, {**named, **only})
    with pytest.raises(TaskError, match="weights that hold the classifier"):
        without_classifier(asked(extractor="inception", **only), [])
    every = asked(extractor="inception", metrics="all")
    assert without_classifier(every, [{"name": "fid"}])
    assert not without_classifier(every, [{"name": "fid"}, {"name": "inception_score"}])
    assert not without_classifier(asked(metrics="all"), [])
    assert [m.name for m in metrics.measured_on("inception", ["inception_score"], "classes")] == [
        "inception_score"
    ]
