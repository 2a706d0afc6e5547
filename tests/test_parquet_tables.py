"""Parquet files without images beside pictures: tables of their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.import_helpers import folder_of
from tests.test_huggingface import CLASSES, NAMES, Columns, opened, parquet, table
from tests.test_layouts import loose


@pytest.mark.parametrize("form", ["texts", "numbers", "class names", "in a folder of the split"])
def test_a_parquet_file_beside_pictures_is_their_table(tmp_path: Path, form: str) -> None:
    place = "train/" if form == "in a folder of the split" else ""
    names, numbers = [f"{place}{i}.png" for i in range(12)], [i % 3 for i in range(12)]
    kinds = [str(n) if form == "numbers" else NAMES[n] for n in numbers]
    columns: Columns = {"file_name": names, "label": kinds, "boxes": [[1]] * 12}
    if form in ("numbers", "class names"):
        columns["label"] = numbers
    features = {"label": CLASSES} if form == "class names" else None
    folder = folder_of(tmp_path / "s", loose(12, place))
    parquet(folder / place / "metadata.parquet", table(columns, features))
    found = opened(folder).listing
    assert f"column label of {place}metadata.parquet" in found.reading and found.doubts == ()
    said = {n: found.classes[c] for n, c in zip(found.names, found.labels, strict=True)}
    assert said == dict(zip(names, kinds, strict=True))


def test_a_damaged_parquet_file_beside_pictures_is_asked_about(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "s", loose(4) | {"metadata.parquet": b"PAR1"})
    (doubt,) = opened(folder).listing.doubts
    assert "metadata.parquet" in doubt.question and "damaged" in doubt.question
