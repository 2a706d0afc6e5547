"""The extractors of fidelity: DINOv2 and CLIP from a folder, a classifier that a run kept, and
extractions that were stopped. The networks are tiny and random."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dreamlab.checks.pretrained_folder import check_folder
from dreamlab.classifiers.networks import outputs
from dreamlab.data import catalog, imageset
from dreamlab.fidelity.extractors import ExtractorError, cache_key
from dreamlab.fidelity.loading import load
from dreamlab.settings import ClassifySpec, SpecError, make
from dreamlab.store import RunStore
from dreamlab.tasks.classify import task as classify_task
from dreamlab.tasks.classify.kept import kept_classifier, kept_file
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.fidelity import features as features_task
from dreamlab.tasks.fidelity.task import fidelity
from tests.arm_helpers import colour_digits, new_import, run_task
from tests.evidence_helpers import context, finish, new_run, new_set, new_store

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {**SMALL, "intermediate_size": 64, "image_size": 32, "patch_size": 16}
TEXT = {**SMALL, "intermediate_size": 64, "vocab_size": 9, "eos_token_id": 3, "bos_token_id": 2}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each, as `save_pretrained` writes it; "vision" holds the image part of CLIP."""
    root = tmp_path_factory.mktemp("extractors")
    torch.manual_seed(0)
    dino = transformers.Dinov2Config(**SMALL, image_size=28, patch_size=14)
    transformers.Dinov2Model(dino).save_pretrained(root / "dinov2")
    about = {"crop_size": {"height": 28, "width": 28}, "image_mean": [0.5, 0.4, 0.3]}
    (root / "dinov2" / "preprocessor_config.json").write_text(json.dumps(about))
    clip = transformers.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=24)
    whole = transformers.CLIPModel(clip)
    whole.save_pretrained(root / "clip")
    part = transformers.CLIPVisionConfig(**VISION, projection_dim=24)
    vision = transformers.CLIPVisionModelWithProjection(part)
    vision.load_state_dict(whole.state_dict(), strict=False)
    vision.save_pretrained(root / "vision")
    return {name: root / name for name in ("dinov2", "clip", "vision")}


def pictures(count: int = 12, side: int = 28, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def computed(extractor: Any, images: np.ndarray) -> np.ndarray:
    return np.concatenate(list(extractor.batches(images)))


def test_dinov2_gives_the_class_token_after_the_layer_norm(folders: dict[str, Path]) -> None:
    ours = load("dinov2", str(folders["dinov2"]), "cpu")
    network = transformers.Dinov2Model.from_pretrained(folders["dinov2"]).eval()
    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = (torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        theirs = network(pixel_values=x).last_hidden_state[:, 0].numpy()
    assert np.abs(computed(ours, pictures()) - theirs).max() < 1e-5
    assert (ours.dimensions, ours.resize) == (32, "bicubic to 28x28")


def test_clip_gives_the_projected_embedding_of_the_whole_or_of_its_image_part(
    folders: dict[str, Path],
) -> None:
    whole, part = (load("clip", str(folders[name]), "cpu") for name in ("clip", "vision"))
    network = transformers.CLIPModel.from_pretrained(folders["clip"]).eval()
    images = pictures(side=32)
    from dreamlab.fidelity.pretrained import MEAN_STD

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in MEAN_STD["clip"])
    x = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        seen = network.vision_model(pixel_values=x).pooler_output
        theirs = network.visual_projection(seen).numpy()
    found = computed(whole, images)
    assert np.abs(found - theirs).max() < 1e-5 and found.shape == (12, 24)
    assert np.abs(computed(part, images) - found).max() < 1e-6
    assert whole.resize == "bicubic to 32x32"


@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_features_depend_neither_on_the_batch_nor_on_the_order(
    name: str, folders: dict[str, Path]
) -> None:
    extractor: Any = load(name, str(folders[name]), "cpu")  # type: ignore[arg-type]
    grey = pictures(20, 40, 1)
    whole = computed(extractor, grey)
    order = np.random.default_rng(1).permutation(20)
    extractor.batch_size = 7
    assert np.abs(computed(extractor, grey[order]) - whole[order]).max() < 1e-5
    assert np.abs(computed(extractor, grey.repeat(3, 3)) - whole).max() < 1e-5
    assert len(set(map(cache_key, (extractor, load(name, str(folders[name]), "cpu"))))) == 1  # type: ignore[arg-type]


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_a_folder_that_cannot_be_used_is_refused_before_the_start(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def refused(folder: Path | str, match: str, extractor: str = "dinov2") -> None:
        with pytest.raises(SpecError, match=match) as error:
            check_folder(extractor, str(folder))
        assert error.value.field == "extractor_dir" and "\n" not in str(error.value)

    for name, extractor in (("dinov2", "dinov2"), ("clip", "clip"), ("vision", "clip")):
        check_folder(extractor, str(folders[name]))
    refused("", "is not a folder; give a folder with config.json")
    refused(tmp_path / "none", "is not a folder")
    refused(tmp_path, "has no config.json")
    refused(folders["clip"], "model of type 'clip', not DINOv2")
    refused(folders["dinov2"], "model of type 'dinov2', not CLIP", "clip")
    pickled = copied(folders["dinov2"], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    refused(pickled, "only as a pickle, which can run code")
    half = copied(folders["dinov2"], tmp_path / "half")
    whole = (half / "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(half, "bytes instead of .* and must be incomplete")
    for content in (whole[:5], b"\xff" * 400, b"\x02" + bytes(7) + b"[]", b""):
        (half / "model.safetensors").write_bytes(content)
        refused(half, "is not a (whole )?safetensors file")
    (half / "config.json").write_text("[1]")
    refused(half, "is not a JSON object")
    deep = copied(folders["dinov2"], tmp_path / "deep")
    config = json.loads((deep / "config.json").read_text())
    (deep / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    refused(deep, "for 3 layers of width 32, but a model.safetensors with 2 of width 32")


def test_what_only_loading_shows_is_one_sentence(folders: dict[str, Path], tmp_path: Path) -> None:
    other = copied(folders["dinov2"], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "mlp_ratio": 2}))
    check_folder("dinov2", str(other))
    with pytest.raises(ExtractorError, match="config.json"):
        load("dinov2", str(other), "cpu")
    (other / "config.json").write_text(json.dumps(config))
    state = load_file(other / "model.safetensors")
    state.pop("layernorm.weight")
    save_file(state, other / "model.safetensors")
    with pytest.raises(ExtractorError, match="layernorm.weight"):
        load("dinov2", str(other), "cpu")


def test_a_folder_brings_no_code(folders: dict[str, Path], tmp_path: Path) -> None:
    import dreamlab

    trap = copied(folders["dinov2"], tmp_path / "trap")
    (trap / "evil.py").write_text("import dreamlab; dreamlab.trapped = True\nclass M: pass\n")
    config = json.loads((trap / "config.json").read_text())
    asks = {"auto_map": {"AutoModel": "evil.M", "AutoConfig": "evil.M"}, "trust_remote_code": True}
    kernel = {"_attn_implementation": "someone/kernel", "quantization_config": {"x": 1}}
    (trap / "config.json").write_text(json.dumps({**config, **asks, **kernel}))
    (trap / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/model"}')
    same = computed(load("dinov2", str(folders["dinov2"]), "cpu"), pictures())
    assert np.array_equal(computed(load("dinov2", str(trap), "cpu"), pictures()), same)
    assert not hasattr(dreamlab, "trapped")


# ---- the task


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    yield new_store(tmp_path_factory.mktemp("lab"))


def digits_set(store: RunStore, count: int = 60) -> Any:
    data = catalog.load("digits")
    source = new_run(store, "train", {"dataset": "digits"})
    return new_set(store, source, data.train_images[:count], data.train_labels[:count])


def measure(store: RunStore, made: Any, **values: Any) -> list[dict[str, Any]]:
    run = new_run(store, "fidelity", {"images": made.id, "metrics": ("fd", "kid"), **values})
    return list(fidelity(context(store, run)))


def test_the_task_names_folder_features_and_how_images_were_resized(
    lab: RunStore, folders: dict[str, Path]
) -> None:
    made = digits_set(lab)
    for name in ("dinov2", "clip"):
        events = measure(lab, made, extractor=name, extractor_dir=str(folders[name]))
        found = events[-1]["values"]
        assert [m["name"] for m in found["metrics"]] == [f"fd_{name}", f"kid_{name}"]
        assert all(m["weights"] == found["extractor"]["id"] for m in found["metrics"])
        assert found["extractor"]["resize"].startswith("bicubic to ")
        assert found["recognised"] is None


@pytest.fixture(scope="module")
def own(lab: RunStore) -> Any:
    values = {"keep_weights": True, "seeds": 1, "steps": 150, "images_per_class": 50}
    run, events = run_task(lab, **values)
    finish(run, events[-1]["values"])
    return run


def guessed(run: Any, images: np.ndarray) -> np.ndarray:
    """Classes (n,) by the classifier that a run kept."""
    network, _ = kept_classifier(run, "cpu")
    return np.concatenate([p.argmax(1).numpy() for _, p in outputs(network, images, "cpu")])


def test_a_kept_classifier_measures_and_says_what_it_recognises(lab: RunStore, own: Any) -> None:
    data = catalog.load("digits")
    right = (guessed(own, data.test_images) == data.test_labels).mean()
    assert own.result()["accuracies"][0] == pytest.approx(right) and right > 0.8
    made = digits_set(lab)
    found = measure(lab, made, extractor="own", classifier=own.id)[-1]["values"]
    assert [m["name"] for m in found["metrics"]] == ["fd_own", "kid_own"]
    assert found["extractor"]["run"] == own.id and found["extractor"]["resize"] == ""
    assert found["extractor"]["accuracy"] == pytest.approx(right)
    images, labels = imageset.load(made.path)
    assert found["recognised"] == (guessed(own, images) == labels).mean()


def test_a_classifier_of_another_size_gets_resized_images(lab: RunStore, own: Any) -> None:
    data = catalog.load("digits")
    large = imageset.resized(data.train_images[:300], 12)
    about = {"classes": list(data.info.classes)}
    real = new_import(lab, large, data.train_labels[:300], 200, **about)
    made = new_import(lab, large[:60], data.train_labels[:60], 60, dataset=real.id, **about)
    events = measure(lab, made, extractor="own", classifier=own.id)
    assert any("resized to 8x8" in e.get("text", "") for e in events)
    found = events[-1]["values"]
    assert found["extractor"]["resize"] == "bicubic to 8x8" and found["recognised"] > 0.7
    assert found["extractor"]["accuracy"] is None


def test_a_classifier_that_cannot_be_used_is_refused(lab: RunStore, own: Any) -> None:
    made = digits_set(lab)
    plain = new_run(lab, "classify", {"dataset": "digits"})
    gone = new_run(lab, "classify", {"dataset": "digits", "keep_weights": True})
    finish(gone, {})
    colour = colour_digits(lab)
    coloured = new_import(lab, *imageset.load(colour.path), 400, dataset=colour.id)
    for images, values, match in (
        (made, {"extractor": "own"}, "needs a classify run with --keep-weights"),
        (made, {"classifier": own.id}, "is not used by the extractor classifier"),
        (made, {"extractor": "own", "classifier": plain.id}, "did not keep its weights"),
        (made, {"extractor": "own", "classifier": gone.id}, "is not there; run"),
        (coloured, {"extractor": "own", "classifier": own.id}, "has 3; choose a classifier"),
    ):
        with pytest.raises(SpecError, match=match) as error:
            measure(lab, images, **values)
        assert error.value.field == "classifier"
    kept_file(gone).write_bytes(kept_file(own).read_bytes()[:1000])
    with pytest.raises(TaskError, match="cannot be read"):
        measure(lab, made, extractor="own", classifier=gone.id)


def test_keeping_weights_is_another_wish_and_trains_a_cached_seed_again(tmp_path: Path) -> None:
    plain = make(ClassifySpec, {"dataset": "digits"})
    keeping = make(ClassifySpec, {"dataset": "digits", "keep_weights": True})
    assert plain.content_hash() != keeping.content_hash()
    assert "keep_weights" in plain.model_dump()
    store = new_store(tmp_path)
    first, events = run_task(store, seeds=2, steps=20)
    assert not kept_file(first).exists()
    again, more = run_task(store, seeds=2, steps=20, keep_weights=True)
    assert kept_file(again).exists() and more[-1]["values"]["cached_seeds"] == 1
    assert more[-1]["values"]["accuracies"] == events[-1]["values"]["accuracies"]
    kept_file(again).unlink()
    list(classify_task.classify(context(store, again)))  # resumed
    assert kept_file(again).exists()


# ---- an extraction that is stopped


class Counting:
    """Features that are means of images; it counts them."""

    name, version, id, resize, dimensions, device = "classifier", 1, "0123", "", 3, "cpu"
    seen = 0

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(images), 4):
            part = images[start : start + 4]
            self.seen += len(part)
            yield part.mean((1, 2)).astype(np.float32)


def test_a_stopped_extraction_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_task, "BLOCK", 8)
    store = new_store(tmp_path)
    ctx = context(store, new_run(store, "train", {"dataset": "digits"}))
    images = pictures(30)

    def extract(extractor: Counting) -> np.ndarray:
        steps = features_task.features(ctx, extractor, images, "images")
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: np.ndarray = end.value
                return found

    first = Counting()
    monkeypatch.setattr(type(ctx), "stopping", lambda self: first.seen > 20)
    with pytest.raises(Stopped):
        extract(first)
    assert len([k for k in ctx.cache.keys() if k.startswith("features/")]) == 2
    monkeypatch.setattr(type(ctx), "stopping", lambda self: False)
    second = Counting()
    found = extract(second)
    assert second.seen == 30 - 16 and np.array_equal(found, computed(Counting(), images))
    assert len([k for k in ctx.cache.keys() if k.startswith("features/")]) == 1
    assert np.array_equal(extract(Counting()), found)
