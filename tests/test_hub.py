"""Data sets of the Hugging Face hub, and files that the package `datasets` writes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import imageset
from dreamlab.store import RunStore
from dreamlab.tasks import TaskError, find_task
from tests.import_helpers import do_import, encoded, picture
from tests.task_helpers import context

datasets = pytest.importorskip("datasets")
NAMES = ["dog", "cat", "eel"]


@pytest.fixture
def fresh(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    store.prepare()
    return store


def split(rows: range, **more: list[Any]) -> Any:
    """A split with images of 12x12 pixels whose class is the row modulo 2."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=NAMES),
            **{name: datasets.Value("string") for name in more},
        }
    )
    columns = {
        "image": [Image.fromarray(picture(row, (12, 12))) for row in rows],
        "label": [row % 2 for row in rows],
        **more,
    }
    return datasets.Dataset.from_dict(columns, features=features)


def both() -> Any:
    return datasets.DatasetDict({"test": split(range(10, 16)), "train": split(range(10))})


def imported(store: RunStore, source: str, **values: Any) -> tuple[dict[str, Any], np.ndarray]:
    """(result, images) of an import by its task."""
    ctx = context(store, "import", source=source, **values)
    result = list(find_task("import")(ctx))[-1]["values"]
    return result, np.asarray(imageset.load(ctx.run.path)[0])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the hub gives, by name, and the arguments of each request under "asked"."""
    held: dict[str, Any] = {"asked": []}

    def load_dataset(name: str, config: Any, *, split: Any, cache_dir: str) -> Any:
        held["asked"].append((name, config, split, cache_dir))
        found = held[name]
        if isinstance(found, Exception):
            raise found
        return found if split is None else found[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return held


def test_a_hub_data_set_is_imported_by_name(
    fresh: RunStore, hub: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub["owner/pets"] = both()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as the dashboard sets it
    result, images = imported(fresh, "huggingface:owner/pets")
    cache = str(fresh.folders.cache / "downloads" / "huggingface")
    assert "HF_HUB_OFFLINE" not in os.environ
    assert hub["asked"] == [("owner/pets", None, None, cache)]
    assert (result["title"], result["classes"]) == ("owner/pets", ["dog", "cat"])
    assert (result["train"], result["test"], result["image_size"]) == (10, 6, 12)
    assert result["left_out"] == [{"file": "eel", "reason": "class without images"}]
    assert (images == np.stack([picture(row, (12, 12)) for row in range(16)])).all()


def test_config_split_and_columns_can_be_named(fresh: RunStore, hub: dict[str, Any]) -> None:
    kinds = [f"kind {row % 3}" for row in range(12)]
    parts = ["train"] * 8 + ["test"] * 4
    made = split(range(12), breed=kinds, half=parts)
    hub["owner/pets"] = datasets.DatasetDict({"train": made, "extra": split(range(20, 30))})
    values = {"labels": ":breed", "split_column": "half"}
    result, _ = imported(fresh, "huggingface:owner/pets:small:train", **values)
    assert hub["asked"][0][:3] == ("owner/pets", "small", "train")
    assert result["classes"] == ["kind 0", "kind 1", "kind 2"] and result["test"] == 4
    assert "labels from column breed, images from column image" in result["reading"]
    result, images = imported(fresh, "huggingface:owner/pets::extra")
    assert hub["asked"][1][:3] == ("owner/pets", None, "extra") and len(images) == 10


def test_images_that_the_package_keeps_as_files_are_read(
    fresh: RunStore, hub: dict[str, Any], tmp_path: Path
) -> None:
    paths = []
    for row in range(8):
        paths.append(str(tmp_path / f"{row}.png"))
        Path(paths[-1]).write_bytes(encoded(picture(row)))
    made = datasets.Dataset.from_dict({"image": paths, "label": ["a", "b"] * 4})
    made = made.cast_column("image", datasets.Image())
    (tmp_path / "3.png").unlink()
    hub["owner/pets"] = datasets.DatasetDict({"train": made})
    result, _ = imported(fresh, "huggingface:owner/pets")
    assert result["images"] == 7 and result["left_out_counts"] == {"unreadable": 1}


def test_a_hub_data_set_that_cannot_be_had_is_one_sentence(
    fresh: RunStore, hub: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub["owner/pets"] = ConnectionError("Couldn't reach the hub\nat all")
    with pytest.raises(
        TaskError,
        match="could not be downloaded .* hub .Couldn't reach the hub at all.: check the network",
    ):
        imported(fresh, "huggingface:owner/pets")
    for name in ("pets", "../../etc/passwd", "a/../b", "", "a/b:c:d:e", "a/b:c:d/e"):
        with pytest.raises(TaskError, match="it must be huggingface:OWNER/NAME"):
            imported(fresh, f"huggingface:{name}")
    twice = split(range(8)).add_column("kind", [0, 1] * 4)
    twice = twice.cast_column("kind", datasets.ClassLabel(names=["a", "b"]))
    twice = twice.map(lambda row, i: {"kind": i // 4}, with_indices=True)
    hub["owner/two"] = datasets.DatasetDict({"train": twice})
    with pytest.raises(TaskError, match="owner/two may be the labels.*--labels :label .*:kind"):
        imported(fresh, "huggingface:owner/two")
    hub["owner/text"] = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["a"]})})
    with pytest.raises(TaskError, match="split train has the columns text; a column with image"):
        imported(fresh, "huggingface:owner/text")
    monkeypatch.setitem(sys.modules, "datasets", None)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"needs the package datasets: run `pip .*'dreamlab\[hf\]'"):
        imported(fresh, "huggingface:owner/pets")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "pets").mkdir(parents=True)
    with pytest.raises(TaskError, match="is a folder here"):
        imported(fresh, "huggingface:owner/pets")


@pytest.mark.parametrize("form", ["DatasetDict", "Dataset", "Parquet"])
def test_what_the_package_writes_is_read(tmp_path: Path, form: str) -> None:
    source, rows = tmp_path / "s", 16 if form == "DatasetDict" else 10
    if form == "DatasetDict":
        both().save_to_disk(source, num_shards={"train": 3, "test": 1})
    elif form == "Dataset":
        both()["train"].save_to_disk(source)
    else:
        source = tmp_path / "s.parquet"
        both()["train"].to_parquet(source)
    result, _ = do_import(source, tmp_path / "run")
    assert result["classes"] == ["dog", "cat"] and result["images"] == rows
    found = {image.tobytes() for image in np.asarray(imageset.load(tmp_path / "run")[0])}
    assert found == {picture(row, (12, 12)).tobytes() for row in range(rows)}
    if form == "DatasetDict":
        assert (result["train"], result["test"]) == (10, 6)
