"""Precision, recall, density, coverage and the Vendi score: known answers, other packages, and the
coverage of their intervals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dreamlab.fidelity import jackknife, manifold, vendi
from dreamlab.fidelity.manifold import prdc
from dreamlab.fidelity.strata import Labels

RNG = np.random.default_rng(3)


def normal(n: int, d: int = 8, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)


def by_hand(x: np.ndarray, y: np.ndarray, k: int) -> dict[str, float]:
    """The four measures from all distances, as in Eqs. 2 to 6 of Naeem et al. 2020."""

    def all_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, None].astype(float) - b[None], axis=2)

    ball_x, ball_y = (np.sort(all_distances(s, s), 1)[:, k] for s in (x, y))
    d = all_distances(x, y)
    return {
        "precision": float((d < ball_y).any(1).mean()),
        "recall": float((d.T < ball_x).any(1).mean()),
        "density": float((d < ball_y).sum() / (k * len(x))),
        "coverage": float((d.min(0) < ball_y).mean()),
    }


@pytest.mark.parametrize(("n", "m", "k"), [(60, 90, 5), (90, 60, 3), (40, 40, 1), (7, 9, 5)])
def test_the_measures_are_those_of_all_distances(n: int, m: int, k: int) -> None:
    x, y = normal(n, seed=1), normal(m, scale=1.3, seed=2)
    found = prdc(x, y, k=k)
    for name, value in by_hand(x, y, k).items():
        assert found[name].mean == pytest.approx(value, abs=1e-12)


def test_the_measures_are_those_of_the_package_prdc() -> None:
    package = pytest.importorskip("prdc")
    x, y = normal(300, 32, seed=1), normal(400, 32, 1.1, seed=2)
    told = package.compute_prdc(real_features=y, fake_features=x, nearest_k=manifold.K)
    found = prdc(x, y)
    for name, value in told.items():
        assert found[name].mean == pytest.approx(float(value), rel=1e-4)


def test_blocks_and_the_order_of_images_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(150, seed=1), normal(170, scale=1.2, seed=2)
    whole = prdc(x, y)
    monkeypatch.setattr(manifold, "ROWS", 13)
    monkeypatch.setattr(manifold, "COLUMNS", 29)
    parts = prdc(x, y)
    for name in whole:
        assert parts[name].mean == pytest.approx(whole[name].mean, abs=1e-12)
        assert parts[name].low == pytest.approx(whole[name].low, abs=1e-9)
    order = RNG.permutation(len(x))
    assert prdc(x[order], y)["recall"].mean == pytest.approx(whole["recall"].mean, abs=1e-12)


def test_leaving_out_a_group_is_measuring_without_it() -> None:
    """The jackknife has every value that a set without the group would give."""
    x, y = normal(60, seed=1), normal(80, scale=1.2, seed=2)
    in_x, in_y, count = jackknife.groups((60, 80), 20)
    c = manifold._Counts(x, y, in_x, in_y, count)
    for g in (0, 7, 19):
        rest_y = by_hand(x, y[in_y != g], manifold.K)
        assert (c.hits[1 + g] > 0).mean() == pytest.approx(rest_y["precision"])
        assert c.hits[1 + g].mean() / manifold.K == pytest.approx(rest_y["density"])
        rest_x = by_hand(x[in_x != g], y, manifold.K)
        assert c.reached[1 + g].mean() == pytest.approx(rest_x["recall"])


def test_identical_and_disjoint_sets_have_the_known_values() -> None:
    x = normal(100, seed=4)
    same = prdc(x, x)
    assert same["precision"].mean == same["recall"].mean == same["coverage"].mean == 1.0
    far = prdc(x, x + 1000)
    assert all(far[name].mean == 0.0 for name in ("precision", "recall", "density", "coverage"))
    # a share of 0 or 1 of 100 images still has an interval
    assert 0.9 < same["precision"].low < 1.0 and 0.0 < far["recall"].high < 0.1


def test_swapped_sets_swap_precision_and_recall() -> None:
    x, y = normal(80, scale=0.5, seed=1), normal(80, seed=2)
    there, back = prdc(x, y), prdc(y, x)
    assert there["precision"].mean == back["recall"].mean > 0.9
    assert there["recall"].mean == back["precision"].mean < 0.5


@pytest.mark.parametrize("n", range(2, 8))
def test_few_images_give_numbers_and_no_interval_below_four(n: int) -> None:
    x, y = normal(n, seed=1), normal(n, seed=2)
    for found in [*prdc(x, y).values(), vendi.vendi_interval(x)]:
        assert np.isfinite(found.mean) and np.isnan(found.low) == (n < 4)
    with pytest.raises(ValueError, match="2 images in each set"):
        prdc(x[:1], y)


def test_the_vendi_score_of_known_sets() -> None:
    """Equal images count once; m groups of orthogonal images count m times, weighted by entropy."""
    assert vendi.vendi(np.ones((50, 3))) == pytest.approx(1.0)
    assert vendi.vendi(np.eye(10)) == pytest.approx(10.0)
    assert vendi.vendi(np.repeat(np.eye(4), 25, axis=0)) == pytest.approx(4.0)
    uneven = np.repeat(np.eye(2), [90, 10], axis=0)
    assert vendi.vendi(uneven) == pytest.approx(np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1)))
    wide, tall = normal(30, 100), normal(100, 30)
    for x in (wide, tall):  # through either matrix of products
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(unit.astype(float) @ unit.T / len(x))
        values = values[values > 1e-12]
        assert vendi.vendi(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-5)
    assert vendi.vendi(np.zeros((5, 3))) == pytest.approx(5.0)


@pytest.mark.parametrize("by_class", [False, True])
def test_intervals_hold_the_value_of_other_draws(by_class: bool) -> None:
    """Each 95 % interval holds the mean over many draws of the same sizes."""
    rng, n, draws = np.random.default_rng(0), 120, 80
    labels = np.arange(n) % 3

    def draw(scale: float) -> tuple[np.ndarray, np.ndarray]:
        own = labels if by_class else rng.integers(0, 3, n)
        return rng.normal(size=(n, 6)) * scale + 2.0 * own[:, None], own

    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(draws):
        (x, in_x), (y, in_y) = draw(0.8), draw(1.0)
        told = prdc(x, y, Labels(in_x, in_y)) | {"vendi": vendi.vendi_interval(x, Labels(in_x))}
        for name, value in told.items():
            found.setdefault(name, []).append((value.mean, value.low, value.high))
    for name, values in found.items():
        truth = np.mean([mean for mean, _, _ in values])
        held = np.mean([low <= truth <= high for _, low, high in values])
        assert held >= 0.85, name
        width = np.mean([high - low for _, low, high in values])
        if name in ("density", "vendi"):  # shares near 1 have an interval though they hardly vary
            assert width < 6 * np.std([mean for mean, _, _ in values]), name


def test_groups_divide_each_class() -> None:
    labels = np.repeat(np.arange(4), 25)
    in_x, in_y, count = jackknife.groups((100, 60), 20, Labels(labels, None))
    assert count == 20
    for c, g in itertools.product(range(4), range(20)):
        assert 1 <= ((labels == c) & (in_x == g)).sum() <= 2
    assert np.bincount(in_y).tolist() == [3] * 20
    assert jackknife.groups((3, 60), 20)[2] == 0
