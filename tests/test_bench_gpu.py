"""The script for a GPU, as far as it can be tried without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dreamlab.data import catalog
from tests.bench import gpu


def test_packed_images_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "SHEET", 200)
    source = gpu.noise_images(tmp_path / "source.npz")
    gpu.pack(str(source), tmp_path / "packed")
    assert sorted(p.name for p in (tmp_path / "packed").iterdir()) == ["0", "1"]
    before = catalog.load("cifar10", str(source))
    after = catalog.load("cifar10", str(gpu.unpack(tmp_path / "packed", tmp_path / "back.npz")))
    assert np.array_equal(before.train_images, after.train_images)
    assert np.array_equal(before.train_labels, after.train_labels)


def test_where_there_is_no_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["all", "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("There is no NVIDIA GPU here that torch can use")
    assert not (tmp_path / "out").exists()
