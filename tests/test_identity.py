"""Runs are found again by the content of what they read, never by a path, a name or a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.classifiers.networks import build
from dreamlab.data import catalog, contents, imageset, near_copies, readers
from dreamlab.data.selection import available
from dreamlab.experiments.identity import check_unchanged
from dreamlab.fidelity import extractors
from dreamlab.service import Refused, Service
from dreamlab.settings import RealData, SpecError, make
from dreamlab.store import RunStore, checkpoints
from dreamlab.store.cache import PIECE, array_hash
from tests.arm_helpers import new_import
from tests.content_helpers import TEST, TRAIN, digits_of, done, idx, make_old, npz
from tests.evidence_helpers import new_run, new_set, new_store
from tests.near_copy_helpers import drained

STEPS = {"steps": 3, "base_width": 8}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose engine never starts."""
    monkeypatch.setattr(Service, "keep_engine", lambda self: None)
    return Service(new_store(tmp_path / "lab").folder)


def train(service: Service, folder: Path | str, dataset: str = "mnist") -> tuple[str, bool]:
    """(run, whether it was there already) of a training on images in a folder, which is then
    done."""
    values = {"dataset": dataset, "data_dir": str(folder), **STEPS}
    found = service.submit(service.check("train", values))
    if not found.reused:
        done(service, found.run)
    return found.run, found.reused


def rewritten(path: Path) -> None:
    """The same file with other images: its size and the time of its content stay the same."""
    before = path.stat()
    npz(path, seed=1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def forget() -> None:
    """What a new process does not have in memory."""
    for cached in (catalog._load, contents._images_of, contents._file_of):
        cached.cache_clear()


# ---- data sets in folders


def test_other_images_in_the_same_file_make_another_run(service: Service, tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz")
    first = train(service, data)
    assert first[1] is False and train(service, data) == (first[0], True)
    rewritten(data)
    other = train(service, data)
    assert other[1] is False and other[0] != first[0]
    npz(data)
    assert train(service, data) == (first[0], True)


@pytest.mark.parametrize("what", ["x_train", "y_train", "x_test", "y_test"])
def test_images_and_labels_of_both_splits_count(
    service: Service, tmp_path: Path, what: str
) -> None:
    data = npz(tmp_path / "data.npz")
    first, arrays = train(service, data), digits_of()
    arrays[what][:2] = arrays[what][:2][::-1]
    np.savez(data, **arrays)  # type: ignore[arg-type]
    assert train(service, data)[0] != first[0]


def test_the_same_images_elsewhere_are_found_again(service: Service, tmp_path: Path) -> None:
    first, _ = train(service, npz(tmp_path / "one" / "data.npz"))
    os.utime(tmp_path / "one" / "data.npz")
    copy = shutil.copy(tmp_path / "one" / "data.npz", tmp_path / "another.npz")
    (tmp_path / "link").symlink_to(tmp_path / "one", target_is_directory=True)
    for place in (
        tmp_path / "one" / "data.npz",
        copy,
        tmp_path / "link" / "data.npz",
        idx(tmp_path / "idx"),
        idx(tmp_path / "whole" / "MNIST" / "raw").parents[1],
    ):
        assert train(service, place) == (first, True), place
    assert train(service, idx(tmp_path / "other", seed=2))[1] is False


def test_a_bundled_set_does_not_depend_on_a_folder(service: Service, tmp_path: Path) -> None:
    first, _ = train(service, "", "digits")
    assert train(service, tmp_path, "digits") == (first, True)
    assert train(service, "", "mnist5k")[1] is False


KINDS: dict[str, dict[str, Any]] = {
    "train": STEPS,
    "classify": {"steps": 5, "arm": "real"},
    "mix": {"arms": "real,real+1x"},
    "study": {"study": "s0-mnist", "scale": "middle"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_reads_images_counts_them(
    service: Service, tmp_path: Path, kind: str
) -> None:
    def hash_of(place: Path) -> str:
        values = {"dataset": "mnist", "data_dir": str(place), **KINDS[kind]}
        return service.hash_of(make(service_kind(kind), values))

    data, copy = npz(tmp_path / "a.npz"), npz(tmp_path / "b.npz")
    first = hash_of(data)
    assert hash_of(copy) == first
    rewritten(data)
    assert hash_of(data) != first == hash_of(copy)


def service_kind(kind: str) -> Any:
    from dreamlab.settings import KINDS as ALL

    return ALL[kind]


@pytest.mark.parametrize(
    ("kind", "values"),
    [("synthesize", {"labeller": "all"}), ("sweep", {"axis": "num_steps"}), ("fidelity", {})],
)
def test_what_measures_against_the_data_of_a_generator_counts_it(
    service: Service, tmp_path: Path, kind: str, values: dict[str, Any]
) -> None:
    data, store = npz(tmp_path / "a.npz"), service.store
    generator = new_run(store, "train", {"dataset": "mnist", "data_dir": str(data), **STEPS})
    made = new_run(store, "synthesize", {"source": generator.id})
    named = {"images": made.id} if kind == "fidelity" else {"source": generator.id}
    spec = make(service_kind(kind), {**named, **values})
    first = service.hash_of(spec)
    plain = make(service_kind("synthesize"), {"source": generator.id})
    before = service.hash_of(plain)
    rewritten(data)
    assert service.hash_of(spec) != first
    assert service.hash_of(plain) == before  # it reads the generator alone
    data.unlink()
    with pytest.raises(Refused, match="does not exist"):
        service.hash_of(spec)
    assert service.hash_of(plain) == before


def test_a_fidelity_of_an_imported_set_counts_the_folder_it_is_measured_against(
    service: Service, tmp_path: Path
) -> None:
    images = np.random.default_rng(3).integers(0, 256, (20, 28, 28, 1), np.uint8)
    made = new_import(service.store, images, np.arange(20) % 10, 20, dataset="mnist")

    def measure(place: Path) -> tuple[str, bool]:
        found = service.submit(
            service.check("fidelity", {"images": made.id, "data_dir": str(place)})
        )
        if not found.reused:
            done(service, found.run)
        return found.run, found.reused

    one, two = npz(tmp_path / "one.npz"), npz(tmp_path / "two.npz", seed=1)
    first, second = measure(one), measure(two)
    assert not first[1] and not second[1] and first[0] != second[0]
    assert measure(npz(tmp_path / "copy.npz")) == (first[0], True)
    rewritten(one)
    assert measure(one) == (second[0], True)
    with pytest.raises(Refused, match="give --data-dir"):
        service.submit(service.check("fidelity", {"images": made.id}))


def test_weights_of_inception_count_by_their_content(service: Service, tmp_path: Path) -> None:
    def hash_of(weights: Path, extractor: str = "inception") -> str:
        values = {"images": made.id, "inception_weights": str(weights), "extractor": extractor}
        return service.hash_of(make(service_kind("fidelity"), values))

    made = new_run(service.store, "synthesize", {"source": generator(service.store)})
    one, two = tmp_path / "one.pth", tmp_path / "two.pth"
    one.write_bytes(b"weights"), two.write_bytes(b"weights")
    first = hash_of(one)
    assert hash_of(two) == first
    two.write_bytes(b"WEIGHTS")
    assert hash_of(two) != first
    assert hash_of(one, "classifier") == hash_of(two, "classifier")  # it does not read them
    one.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        hash_of(one)


def generator(store: RunStore, **values: Any) -> str:
    return new_run(store, "train", {"dataset": "digits", **STEPS, **values}).id


# ---- imports and other runs


def test_imports_are_the_same_by_their_images_and_classes(service: Service) -> None:
    data = catalog.load("digits")
    images, labels = data.train_images[:200], data.train_labels[:200]

    def on(images: np.ndarray, **card: Any) -> tuple[str, bool]:
        return train(service, "", new_import(service.store, images, labels, 150, **card).id)

    first, _ = on(images)
    assert on(images, title="Another folder", source="/there") == (first, True)
    assert on(images // 2)[1] is False
    assert on(images, classes=[f"kind {c}" for c in range(10)])[1] is False
    assert on(images, mirror=False)[1] is False


def test_files_that_an_import_did_not_write_are_read(service: Service) -> None:
    data = catalog.load("digits")
    run = new_import(service.store, data.train_images[:200], data.train_labels[:200], 150)
    first = contents.images_of(run.id)
    assert first == f"import-{catalog.card(run.id)['content_hash']}-150"
    imageset.save(run.path, data.train_images[:200] // 2, data.train_labels[:200])
    changed = contents.images_of(run.id)
    assert changed != first and catalog.load(run.id).train_images.max() < 128
    imageset.save(run.path, data.train_images[:200], data.train_labels[:200])
    assert contents.images_of(run.id) == first


def test_each_training_has_sets_of_its_own(service: Service) -> None:
    def sample(source: str) -> tuple[str, bool]:
        spec = make(service_kind("synthesize"), {"source": source})
        found = service.submit(spec)
        return found.run, found.reused

    one, two = (generator(service.store, seconds=5) for _ in range(2))
    for run in (one, two):
        done(service, run)
        (service.get(run).path / checkpoints.FOLDER).mkdir()
        checkpoints.path_of(service.get(run).path).write_bytes(b"weights")
    service._check = lambda spec, known: spec  # type: ignore[method-assign]
    first, second = sample(one), sample(two)
    assert first[0] != second[0] and sample(one) == (first[0], True)


def test_a_stopped_training_that_goes_on_has_other_sets(service: Service) -> None:
    run = service.get(generator(service.store))
    spec = make(service_kind("synthesize"), {"source": run.id})
    (run.path / checkpoints.FOLDER).mkdir()
    weights = checkpoints.path_of(run.path)
    weights.write_bytes(b"early")
    from dreamlab.store import EventWriter

    events = EventWriter(run.path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.write("state", state="stopped", error="")
    events.close()
    early = service.hash_of(spec)
    assert service.hash_of(spec) == early
    weights.write_bytes(b"later")
    later = service.hash_of(spec)
    done(service, run.id)
    assert len({early, later, service.hash_of(spec)}) == 3


# ---- runs of older versions


@pytest.mark.parametrize(("dataset", "found_again"), [("digits", True), ("mnist", False)])
def test_an_older_run_is_found_again_only_if_its_images_are_known(
    service: Service, tmp_path: Path, dataset: str, found_again: bool
) -> None:
    folder = npz(tmp_path / "data.npz") if dataset == "mnist" else ""
    first, _ = train(service, folder, dataset)
    make_old(service.store, first)
    later = Service(service.store.folder)
    assert later.row(first).state == "done" and later.get(first).record.hash_version == 1
    again = train(later, folder, dataset)
    assert again == (first, True) if found_again else again[0] != first
    # what names the older run is found by the run itself
    spec = make(service_kind("synthesize"), {"source": first})
    assert later.hash_of(spec) == service.hash_of(spec)


def test_a_new_run_says_how_and_from_what_its_hash_was_made(
    service: Service, tmp_path: Path
) -> None:
    run, _ = train(service, npz(tmp_path / "data.npz"))
    record = service.get(run).record
    arrays = digits_of()
    images = [arrays[f"x_{p}"][..., None] for p in ("train", "test")]
    wanted = array_hash(images[0], arrays["y_train"], images[1], arrays["y_test"])
    assert record.hash_version == 2 and record.contents == {"images": wanted}


# ---- while a run waits or is resumed


def test_a_run_does_not_go_on_with_other_images(service: Service, tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz")
    run = service.get(train(service, data)[0])
    check_unchanged(run, service.store)
    rewritten(data)
    with pytest.raises(SpecError, match=r"images in .*data.npz have changed since this run"):
        check_unchanged(run, service.store)
    npz(data)
    check_unchanged(run, service.store)
    data.unlink()
    with pytest.raises(SpecError, match="does not exist"):
        check_unchanged(run, service.store)
    make_old(service.store, run.id)
    check_unchanged(service.store.get(run.id), service.store)


# ---- what is read, and how often


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    calls: list[int] = []
    original: Callable[..., Any] = getattr(module, name)

    def call(*values: Any, **named: Any) -> Any:
        calls.append(1)
        return original(*values, **named)

    monkeypatch.setattr(module, name, call)
    return calls


def test_images_are_hashed_once_and_read_again_only_if_a_file_has_changed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, hashed = (
        counted(monkeypatch, readers, "npz_arrays"),
        counted(monkeypatch, contents, "array_hash"),
    )
    data = npz(tmp_path / "data.npz", seed=5)
    spec = service.check("mix", {"dataset": "mnist", "data_dir": str(data), "arms": "real,real+1x"})
    service.submit(spec)
    assert (len(read), len(hashed)) == (1, 1)
    for _ in range(3):  # as a form does at every key press
        service.available(spec)
        service.submit(service.check("mix", spec.model_dump()))
        service.data_version("mnist", str(data))
    assert (len(read), len(hashed)) == (1, 1)
    forget()
    assert service.submit(service.check("mix", spec.model_dump())).reused
    assert len(hashed) == 1  # a new process finds the hash in the user's cache
    before = len(read)
    os.utime(data)
    assert service.submit(service.check("mix", spec.model_dump())).reused
    assert (len(read), len(hashed)) == (before + 1, 2)


def test_selections_and_checks_follow_the_files(service: Service, tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz")
    asked = make(RealData, {"dataset": "mnist", "data_dir": str(data)})
    assert available(asked) == [TRAIN // 10] * 10
    arrays = digits_of()
    arrays["y_train"][:2] = 5
    np.savez(data, **arrays)  # type: ignore[arg-type]
    assert available(asked) == [11, 11, 12, 12, 12, 14, 12, 12, 12, 12]
    copied = new_import(
        service.store,
        np.tile(arrays["x_test"], (6, 1, 1))[..., None],
        np.arange(6 * TEST) % 10,
        6 * TEST,
        dataset="mnist",
    )
    values = {"dataset": "mnist", "synthetic": copied.id, "arm": "synthetic"}
    npz(data)
    limit = near_copies.Limit(28, 0.35, 0.0, 0.0, 0.0)
    with_copies = near_copies.in_set(
        imageset.load(copied.path)[0], catalog.load("mnist", str(data)), limit
    )
    near_copies.save(copied.path, drained(with_copies))
    with pytest.raises(Refused, match="120 of the 120 images .* are copies of test images"):
        service.check("classify", {**values, "data_dir": str(data)})
    npz(data, seed=1)  # what was found belongs to other images now
    service.check("classify", {**values, "data_dir": str(data)})


def test_a_memory_mapped_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (700, 64, 64, 1), np.uint8)
    assert images.nbytes > 2 * PIECE
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert array_hash(mapped) == array_hash(images)
    assert array_hash(mapped[100:650]) == array_hash(images[100:650])
    assert (
        array_hash(mapped[:, ::2])
        == array_hash(images[:, ::2])
        == array_hash(images[:, ::2].copy())
    )
    assert array_hash(images[:0]) != array_hash(images[:0, :1])


# ---- features


class Fixed:
    name, version, id, dimensions, device = "classifier", 1, "abc", 2, "cpu"
    resize = ""


def test_features_are_kept_by_version_weights_and_sort_of_device() -> None:
    found = {extractors.cache_key(Fixed())}  # type: ignore[arg-type]
    for changes in ({"version": 2}, {"id": "abd"}, {"name": "inception"}, {"device": "cuda:0"}):
        other = type("Other", (Fixed,), changes)()
        found.add(extractors.cache_key(other))
    cuda = type("Other", (Fixed,), {"device": "cuda:1"})()
    assert extractors.cache_key(cuda) in found  # one sort of device
    assert len(found) == 5
    assert all(k.endswith(("/cpu-fp32", "/cuda-fp32")) for k in found)


def test_features_are_computed_in_full_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, seen = extractors.torch, []
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True  # as training sets it on a GPU
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def flags() -> bool:
        return bool(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)

    class Watched(extractors.NetworkExtractor):
        device, batch_size = "cpu", 2

        def features(self, images: extractors.Tensor) -> extractors.Tensor:
            seen.append(flags())
            return images.float().flatten(1)

    images = np.zeros((5, 2, 2, 3), np.uint8)
    assert sum(len(part) for part in Watched().batches(images)) == 5
    network = build("small_cnn", 3, 8, 2)
    plain = network.features
    monkeypatch.setattr(network, "features", lambda x: (seen.append(flags()), plain(x))[1])
    found = extractors.ClassifierExtractor(network, "cpu")
    for part in found.batches(np.zeros((4, 8, 8, 3), np.uint8)):
        assert len(part) == 4 and flags(), "what reads the features is not affected"
    assert seen == [False] * 4 and flags()  # three batches of one, one of the other
    torch.backends.cuda.matmul.allow_tf32 = before


def test_a_set_measured_again_by_a_new_version_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dreamlab.tasks.fidelity.task import fidelity
    from tests.evidence_helpers import context

    store = new_store(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
    made = new_set(
        store, new_run(store, "train", {"dataset": "digits"}), images, np.arange(20) % 10
    )
    calls = counted(monkeypatch, extractors, "outputs")

    def measure() -> int:
        before = len(calls)
        list(fidelity(context(store, new_run(store, "fidelity", {"images": made.id}))))
        return len(calls) - before

    assert measure() == 3 and measure() == 0
    monkeypatch.setattr(extractors.ClassifierExtractor, "version", 2)
    assert measure() == 3
