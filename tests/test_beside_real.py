"""What is said of a set beside real images: the distance at infinitely many images, the spread
within a class, the ratio to real images, the gap to the training images, and how images look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dreamlab.fidelity import wording
from dreamlab.fidelity.appearance import MEASURES, appearance, differences, look_of
from dreamlab.fidelity.frechet import frechet, frechet_interval, root_of
from dreamlab.fidelity.gap import gap
from dreamlab.fidelity.infinite import extrapolated
from dreamlab.fidelity.jackknife import Resampled, groups
from dreamlab.fidelity.kid import kid, mmd
from dreamlab.fidelity.metrics import METRICS, best, fewest_for_infinite
from dreamlab.fidelity.ratio import ratio
from dreamlab.fidelity.spread import spread
from dreamlab.fidelity.strata import Labels
from dreamlab.stats import left_out
from dreamlab.stats.intervals import Interval, geometric_mean


def normal(n: int, d: int = 8, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(n, d))


def test_a_distance_at_infinitely_many_images_has_no_bias() -> None:
    """The bias of 120 images in 16 dimensions is several standard errors of the mean."""
    found, plain = [], []
    truth = 16 * (1.2 - 1.0) ** 2  # of N(0, 1) and N(0, 1.44)
    for seed in range(40):
        x, y = normal(120, 16, 1.2, 2 * seed), normal(120, 16, 1.0, 2 * seed + 1)
        found.append(extrapolated(x, y))
        plain.append(frechet(x, y))
    values = np.array([f.mean for f in found])
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - truth) < 3 * error
    assert np.mean(plain) - truth > 10 * error
    assert sum(f.low <= truth <= f.high for f in found) >= 35


def test_the_distance_at_infinitely_many_images_needs_more_than_features() -> None:
    needed = fewest_for_infinite(8)
    assert math.isnan(extrapolated(normal(needed - 1), normal(500, seed=1)).mean)
    found = extrapolated(normal(needed), normal(500, seed=1))
    assert found.low < found.mean < found.high
    row = {"name": "fd_classifier_infinite", "value": None}
    result = {
        "images": needed - 1,
        "reference": {"images": 500},
        "extractor": {"dimensions": 8},
        "metrics": [row],
    }
    assert wording.too_few(row, result) == needed
    assert wording.number(row) == "too few images"
    assert f"needs at least {needed} synthetic and real images" in wording.about_too_few(result)[0]


def test_the_order_of_the_images_does_not_move_the_extrapolation_out_of_its_interval() -> None:
    x, y = normal(300, 8, 1.1, 1), normal(300, seed=2)
    found = extrapolated(x, y)
    again = extrapolated(np.random.default_rng(3).permutation(x), y)
    assert found.low < again.mean < found.high


def test_spread_is_the_ratio_of_the_variances_within_classes() -> None:
    labels = np.repeat([0, 1], 200)
    centre = np.where(labels[:, None] == 0, -30.0, 30.0)
    x, y = normal(400, 5, 0.6, 1) + centre, normal(400, 5, seed=2) - centre
    found = spread(x, y, Labels(labels, labels))
    within = [np.mean([z[labels == c].var(0, ddof=1).sum() for c in (0, 1)]) for z in (x, y)]
    assert found.mean == pytest.approx(within[0] / within[1])
    assert found.low < 0.36 < found.high < 1
    assert spread(x, y).mean > 0.9  # without classes, the centres hide it
    assert spread(x, x, Labels(labels, labels)).mean == pytest.approx(1.0)


@pytest.mark.parametrize("labels", [None, [0, 1, 2, 3]])
def test_spread_of_too_few_or_equal_images_is_not_a_number(labels: list[int] | None) -> None:
    few = Labels() if labels is None else Labels(np.array(labels), np.array(labels))
    found = spread(normal(4), np.ones((4, 8)), few)
    assert math.isnan(found.mean) and math.isnan(found.low)
    flat = spread(np.ones((30, 8)), normal(30))
    assert flat.mean == 0 and math.isnan(flat.low)


def test_the_best_spread_is_the_one_next_to_one() -> None:
    assert best("spread", [0.6, 1.1, 1.8]) == 1
    assert METRICS["spread"].direction == "1"
    assert wording.best_word("spread") == "best"


def test_left_out_values_of_kid_are_those_without_the_images() -> None:
    x, y = normal(60, seed=1), normal(80, seed=2) + 0.3
    found = kid(x, y)
    in_x, in_y, count = groups((60, 80), 20)
    assert isinstance(found, Resampled) and count == 20
    for g in (0, 11, 19):
        assert found.left[0][g] == pytest.approx(mmd(x[in_x != g], y))
        assert found.left[1][g] == pytest.approx(mmd(x, y[in_y != g]))


def test_a_difference_of_two_sets_from_the_same_noise_is_known_better() -> None:
    """Both sets share the noise and the reference, which cancel in the difference."""
    noise, y = normal(300, seed=1), normal(300, seed=2)
    a, b = (frechet_interval(shift + noise, y) for shift in (0.30, 0.32))
    assert isinstance(a, Resampled) and isinstance(b, Resampled)
    paired = left_out.paired_error(a.left, b.left)
    shared = left_out.paired_error(a.left, b.left, first=False)
    alone = math.hypot(left_out.error(*a.left), left_out.error(*b.left))
    assert paired is not None and shared is not None
    assert 0 < 5 * paired < shared < alone
    stored = left_out.loaded(left_out.stored(a.left))
    assert np.allclose(stored, a.left, rtol=1e-6)
    assert left_out.paired_error(a.left, left_out.NOTHING) is None
    assert left_out.stored(left_out.NOTHING) is None


def test_the_ratio_to_real_images_is_one_for_real_images() -> None:
    y = normal(400, seed=9)
    inside = 0
    for seed in range(30):
        a, b = (frechet_interval(normal(200, seed=2 * seed + i), y) for i in (100, 101))
        assert isinstance(a, Resampled) and isinstance(b, Resampled)
        found = ratio(a.mean, a.left, b.mean, b.left)
        inside += found.low <= 1 <= found.high
    assert inside >= 26
    far = frechet_interval(normal(200, seed=1) + 1, y)
    real = frechet_interval(normal(200, seed=2), y)
    assert isinstance(far, Resampled) and isinstance(real, Resampled)
    found = ratio(far.mean, far.left, real.mean, real.left)
    assert found.mean == pytest.approx(far.mean / real.mean) and found.low > 3
    assert math.isnan(ratio(0.0, far.left, 1.0, real.left).mean)
    both = geometric_mean([Interval(2.0, 1.0, 4.0), Interval(8.0, 4.0, 16.0)])
    assert (both.mean, both.low, both.high) == pytest.approx((4.0, 2.0, 8.0))
    with pytest.raises(ValueError, match="needs a ratio"):
        geometric_mean([])


def gap_of(x: np.ndarray, held_out: np.ndarray, training: np.ndarray) -> Interval:
    """The gap of sets without classes."""
    return gap(
        x, held_out, training, (None, *(np.zeros(len(z), int) for z in (held_out, training)))
    )


def test_a_set_that_repeats_training_images_has_a_gap() -> None:
    training, held_out = normal(150, seed=1), normal(150, seed=2)
    copies = gap_of(training + normal(150, scale=0.05, seed=3), held_out, training)
    assert copies.low > 0
    fresh = gap_of(normal(150, seed=4), held_out, training)
    assert fresh.low < 0 < fresh.high
    back = gap_of(normal(150, seed=4), training, held_out)
    assert back.mean == pytest.approx(-fresh.mean)
    few = gap_of(normal(3), normal(3, seed=1), normal(3, seed=2))
    assert math.isfinite(few.mean) and math.isnan(few.low)


def test_the_interval_of_the_gap_covers_it() -> None:
    """Training images are shifted; the true gap follows from the moments of the kernel."""
    shift, d, hits = 0.4, 4, 0

    def kernel(a: float, b: float) -> float:  # mean of (x'y / d + 1)^3 for N(a, 1) and N(b, 1)
        m, v = a * b, (d + d * a * a + d * b * b) / d**2
        return 1 + 3 * m + 3 * (v + m * m) + 6 * a * b / d**2 + 3 * v * m + m**3

    truth = kernel(0, 0) - kernel(shift, shift) - 2 * (kernel(0, 0) - kernel(0, shift))
    for seed in range(0, 300, 3):
        x, held_out, training = (normal(100, d, seed=seed + i) for i in range(3))
        found = gap_of(x, held_out, training + shift)
        hits += found.low <= truth <= found.high
    assert hits >= 90


def test_the_gap_is_not_moved_by_the_shares_of_classes() -> None:
    """Held-out images were drawn at random, and training images class by class."""
    rng, found = np.random.default_rng(5), []
    own = np.repeat(np.arange(4), 20)
    for _ in range(60):
        classes = [rng.integers(0, 4, 80), own]
        sets = [3.0 * np.eye(4)[c] + rng.normal(size=(80, 4)) for c in classes]
        x = 3.0 * np.eye(4)[own] + rng.normal(size=(80, 4))
        found.append(gap(x, *sets, (own, *classes)).mean)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(60)


def test_the_gap_is_said() -> None:
    found = {"value": 0.02, "low": 0.01, "high": 0.03}
    assert "a sign of memory." in wording.about_gap({"gap": found})
    said = wording.about_gap({"gap": {**found, "low": -0.01}, "extractor": {"name": "classifier"}})
    assert "above 0 would be" in said and "knows the training images" in said
    assert wording.about_gap({"gap": {**found, "low": None}}) == wording.about_gap({}) == ""


def test_looks_are_what_they_are_called() -> None:
    flat = np.full((3, 8, 8, 3), 51, np.uint8)
    found = look_of(flat)
    assert found["brightness"] == pytest.approx(0.2, abs=1e-6)
    assert found["border"] == pytest.approx(0.2, abs=1e-6)
    assert list(found) == list(MEASURES)
    assert np.allclose([found[name] for name in ("contrast", "colour", "detail")], 0, atol=1e-6)
    board = np.indices((8, 8)).sum(0) % 2 * 255
    fine = look_of(np.repeat(board[None, :, :, None], 3, axis=-1).astype(np.uint8))
    assert fine["detail"] == pytest.approx(1.0) and fine["contrast"] == pytest.approx(0.5)
    slow = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))[None, :, :, None]
    assert look_of(slow)["detail"][0] < 0.1 and "colour" not in look_of(slow)
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert look_of(red)["colour"] == pytest.approx(1.0)
    assert appearance(look_of(red))["colour"] == {"mean": 1.0, "error": 0.0}


def test_another_mix_of_classes_is_no_difference_of_looks() -> None:
    rng = np.random.default_rng(0)

    def made(labels: np.ndarray, brighter: int = 0) -> np.ndarray:
        level = np.array([40, 200])[labels] + brighter
        noise = rng.normal(0, 10, (len(labels), 6, 6, 1))
        return np.clip(level[:, None, None, None] + noise, 0, 255).astype(np.uint8)

    real, other = np.repeat([0, 1], [100, 300]), np.repeat([0, 1], [300, 100])
    plain = differences(look_of(made(other)), look_of(made(real)))["border"]
    assert plain.high < -0.2
    same = differences(look_of(made(other)), look_of(made(real)), (other, real))["border"]
    assert same.low < 0 < same.high
    brighter = differences(look_of(made(other, 5)), look_of(made(real)), (other, real))["border"]
    assert brighter.low < 5 / 255 < brighter.high and brighter.low > 0
    assert not differences(look_of(made(other[:1])), look_of(made(real)))


def test_the_coverage_of_the_differences_of_looks() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(300):
        a, b = ({"border": rng.normal(size=n)} for n in (12, 30))
        classes = np.repeat([0, 1], 6), np.repeat([0, 1], [10, 20])
        found = differences(a, b, classes)["border"]
        hits += found.low <= 0 <= found.high
    assert 274 <= hits <= 296


def test_looks_are_said_in_words() -> None:
    clear = {"value": -0.031, "low": -0.042, "high": -0.02}
    none = {"value": 0.01, "low": -0.01, "high": 0.03}
    said = wording.about_looks(
        {"appearance": {"difference": {"border": clear, "contrast": none, "colour": none}}}
    )
    assert said == (
        "Beside real images, the backgrounds are darker by 3.1 (2 to 4.2) on a scale of 0 to 100."
        " No difference in contrast or colour can be shown."
    )
    assert wording.about_looks({"appearance": {"real": {}}}) == ""


def test_a_root_gives_its_covariance() -> None:
    x = normal(50, 5)
    covariance = np.cov(x.T)
    assert np.allclose(root_of(covariance).T @ root_of(covariance), covariance)
