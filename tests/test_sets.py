"""Data sets as one works with them: versions, names, who used which images, what was left out."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import catalog, contents, imageset
from dreamlab.data.importing import left_out
from dreamlab.data.importing.extending import KNOWN, versioned
from dreamlab.data.importing.proposal import propose
from dreamlab.data.selection import real_data, selected
from dreamlab.service import Refused, Service
from dreamlab.settings import ImportSpec, RealData, SpecError, make
from dreamlab.store import RunStore
from tests.conftest import dreamlab
from tests.evidence_helpers import finish, new_group, new_run, new_store
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture, zip_of


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose engine never starts."""
    monkeypatch.setattr(Service, "keep_engine", lambda self: None)
    return Service(new_store(tmp_path / "lab").folder)


def imported(service: Service, source: Path, **values: Any) -> str:
    """The id of a finished import, done in this process."""
    run = service.submit(service.check("import", {"source": str(source), **values})).run
    folder = service.get(run).path
    result, _ = do_import(source, folder, **values)
    finish(service.get(run), result)
    return run


def pixels(images: np.ndarray) -> set[bytes]:
    return set(imageset.digests(images).tolist())


# ---- versions


def test_a_new_version_has_all_images_of_both_and_keeps_the_split(
    service: Service, tmp_path: Path
) -> None:
    files = class_files(each=10)
    first = imported(service, folder_of(tmp_path / "pets", files))
    old = catalog.load(first)
    more = class_files(each=5, prefix="more/")
    tests = [encoded(image) for image in old.test_images]  # test images among the new files
    again = {f"more/cat/t{i}.png": data for i, data in enumerate(tests)}
    again |= {"more/dog/x.png": files["dog/0.png"], "more/dog/twice.png": more["more/dog/0.png"]}
    source = zip_of(
        tmp_path / "more.zip", {k.removeprefix("more/"): v for k, v in (more | again).items()}
    )
    second = imported(service, source, extends=first)
    new, result = catalog.load(second), service.get(second).result() or {}
    assert pixels(old.train_images) < pixels(new.train_images)
    assert pixels(old.test_images) < pixels(new.test_images)
    assert not pixels(new.train_images) & pixels(new.test_images)
    assert (new.train_images[: len(old.train_labels)] == old.train_images).all()
    assert (new.test_labels[: len(old.test_labels)] == old.test_labels).all()
    counts = result["left_out_counts"]
    assert counts == {KNOWN: len(tests) + 1, "duplicate of an earlier image": 1}
    assert result["added"] == {"train": 8, "test": 2} and result["images"] == 20 + 10
    assert f"to pets ({first}), which had 16 and 4" in result["notes"][0]
    assert new.info.title == "pets (version 2)" and service.get(second).record.parents == [first]
    assert service.get(second).record.name == "real pets (version 2)"
    assert f"--extends {first}" in service.get(second).record.command
    assert (old.train_images == catalog.load(first).train_images).all()
    assert [[r.id for r in runs] for runs in service.versions(second)] == [[first], []]
    assert [[r.id for r in runs] for runs in service.versions(first)] == [[], [second]]


def test_the_hash_of_a_version_is_that_of_its_content(service: Service, tmp_path: Path) -> None:
    files = class_files(each=6)
    split = {
        f"{'test' if i % 3 == 0 else 'train'}/{k}": v for i, (k, v) in enumerate(files.items())
    }
    half = {k: v for i, (k, v) in enumerate(split.items()) if i % 2 == 0}
    first = imported(service, folder_of(tmp_path / "half", half))
    rest = {k: v for k, v in split.items() if k not in half}
    second = imported(service, folder_of(tmp_path / "rest", rest), extends=first)
    arrays = imageset.load(service.get(second).path)
    new = catalog.load(second)
    np.savez(
        tmp_path / "same.npz",
        x_train=new.train_images,
        y_train=new.train_labels,
        x_test=new.test_images,
        y_test=new.test_labels,
        classes=np.array(new.info.classes),
    )
    same = imported(service, tmp_path / "same.npz")
    assert len(arrays[1]) == 12
    assert contents.import_of(same) == contents.import_of(second) != contents.import_of(first)


def test_what_cannot_be_added_is_refused_with_a_sentence(service: Service, tmp_path: Path) -> None:
    first = imported(service, folder_of(tmp_path / "pets", class_files(each=4)))
    birds = folder_of(tmp_path / "birds", class_files(("bird", "cat"), 3, "b/"))
    asked = propose(make(ImportSpec, {"source": str(birds), "extends": first}))["questions"][0]
    assert "only some are classes of pets (cat, dog): bird" in asked["question"]
    assert asked["answers"][0]["settings"] == {"classes": "cat=cat"}
    assert asked["answers"][-1]["settings"] == {"extends": ""}, "or a set of their own"
    with pytest.raises(Exception, match=r"only some are classes of pets \(cat, dog\): bird"):
        do_import(birds, tmp_path / "y", extends=first)
    with pytest.raises(Exception, match=r"All 8 images that can be used are in pets already"):
        do_import(tmp_path / "pets", tmp_path / "x", extends=first)
    assert not list((tmp_path / "x").glob("*.npy"))
    values = {"source": str(birds), "extends": first}
    for change, said in (
        ({"image_size": 32}, r"Image size .*32 cannot be used; the images of pets have 16 pixels"),
        ({"color": "grey"}, r"Color .*grey cannot be used; the images of pets are rgb"),
        ({"extends": "nothing"}, r"Added to \(--extends\): There is no run 'nothing'"),
        ({"role": "synthetic", "dataset": first}, r"Added to .*do not become part of a real set"),
    ):
        with pytest.raises(Refused, match=said):
            service.check("import", values | change)


def test_what_is_added_to_a_set_is_said_before(service: Service, tmp_path: Path) -> None:
    files = class_files(each=4)
    first = imported(service, folder_of(tmp_path / "pets", files))

    def said(name: str, more: dict[str, bytes]) -> str:
        source = folder_of(tmp_path / name, more)
        found = propose(make(ImportSpec, {"source": str(source), "extends": first}))
        return " ".join(found["notes"])

    again = {"cat/0.png": files["cat/0.png"], "cat/n.png": encoded(picture(7, (20, 30)))}
    notes = said("again", again)
    assert "added to pets, which has 8 images and stays as it is: a new version has 10." in notes
    assert "1 of 2 images tried are in it already, and are left out" in notes
    assert "1 of 2 images tried have another size than 16 x 16 pixels" in notes
    grey = said("grey", {"dog/n.png": encoded(picture(3, channels=1))})
    assert "They are grey, and pets is in colour" in grey and "another size" not in grey
    with pytest.raises(Exception, match="All 8 images are in pets already"):
        said("same", files)


def test_a_single_new_image_goes_to_training_and_the_fit_is_that_of_the_set(
    service: Service, tmp_path: Path
) -> None:
    wide = {
        f"{c}/{i}.png": encoded(picture(i + 50 * k, (16, 24)))
        for k, c in enumerate("ab")
        for i in range(3)
    }
    first = imported(service, folder_of(tmp_path / "wide", wide), fit="stretch", image_size=16)
    one = {"a/new.png": encoded(picture(999, (16, 24)))}
    asked = {"source": str(folder_of(tmp_path / "one", one)), "extends": first}
    sheet = propose(make(ImportSpec, asked), pictures=True)["sample"]["sheet"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["png"]))))
    stretched = Image.fromarray(picture(999, (16, 24))).resize((16, 16), Image.Resampling.BICUBIC)
    assert (shown == np.asarray(stretched)).all(), "as it will be, and not cropped"
    second = imported(service, folder_of(tmp_path / "one", one), extends=first)
    assert (service.get(second).result() or {})["added"] == {"train": 1, "test": 0}
    assert catalog.card(second)["preprocessing"]["fit"] == "stretch"
    whole = Image.open(io.BytesIO(one["a/new.png"])).resize((16, 16), Image.Resampling.BICUBIC)
    at = catalog.load(first).info.train
    assert (catalog.load(second).train_images[at] == np.asarray(whole)).all()


def test_titles_count_versions() -> None:
    assert versioned("pets") == "pets (version 2)"
    assert versioned(versioned("pets")) == "pets (version 3)"


# ---- names


def test_a_new_name_is_shown_everywhere_and_changes_no_hash(
    service: Service, tmp_path: Path
) -> None:
    run = imported(service, folder_of(tmp_path / "pets", class_files(each=6)))
    spec = make(RealData, {"dataset": run})
    before = contents.import_of(run), service.version(), service.get(run).record.hash
    service.describe(run, "  Cats &  dogs ", "From the garden.")
    restarted = Service(service.store.folder)
    for there in (service, restarted):
        assert there.row(run).name == "Cats & dogs"
        assert ("Cats & dogs · " + run[-4:], run) in there.choices("import")
        assert there.get(run).about.text == "From the garden."
    assert catalog.info(run).title == catalog.load(run).info.title == "Cats & dogs"
    assert service.version() > before[1]
    assert (contents.import_of(run), service.get(run).record.hash) == (before[0], before[2])
    assert selected(spec).pool.size
    service.delete(run)
    service.restore(run)
    assert service.row(run).name == "Cats & dogs"
    more = folder_of(tmp_path / "more", class_files(each=2, prefix="n/"))
    assert service.named(make(ImportSpec, {"source": str(more), "extends": run})) == (
        "Cats & dogs (version 2)"
    )
    service.describe(run, "")
    assert (service.row(run).name, catalog.info(run).title) == ("real pets", "pets")
    assert service.get(run).about.text == "From the garden."
    for name, said in (("x" * 81, "81 characters; at most 80"), ("a\x00b", "cannot be shown")):
        with pytest.raises(Refused, match=said):
            service.describe(run, name)


def test_a_name_reaches_the_report_of_a_finished_mix(service: Service) -> None:
    store = service.store
    values = {"dataset": "digits", "images_per_class": 10, "arms": ("real", "real+1x")}
    made = new_run(store, "train", {"dataset": "digits"})
    group, _ = new_group(store, "mix", {**values, "sources": (made.id,)})
    finish(group, {"generators": [{"key": made.id, "run": made.id, "name": made.record.name}]})
    service.describe(made.id, "Ada")
    assert service.report(group.id)["generators"][0]["name"] == "Ada"


def test_rename_and_a_version_by_command_line(runs: Path, tmp_path: Path) -> None:
    status, first, err = dreamlab(
        runs, "import", "--from", str(folder_of(tmp_path / "pets", class_files(each=6)))
    )
    assert status == 0, err
    run = first["run"]
    status, answer, _ = dreamlab(
        runs, "runs", "rename", run, "--to", "Pets", "--description", "of us"
    )
    assert status == 0 and answer["result"] == {"name": "Pets", "description": "of us"}
    _, shown, _ = dreamlab(runs, "runs", "show", run)
    assert (shown["name"], shown["description"]) == ("Pets", "of us")
    status, answer, _ = dreamlab(runs, "runs", "rename", run)
    assert status == 2 and "--to NAME" in answer["error"]
    more = folder_of(tmp_path / "more", class_files(each=3, prefix="n/"))
    words = ("import", "--from", str(more / "n"), "--extends", run[-9:])
    status, second, err = dreamlab(runs, *words)
    assert status == 0 and second["result"]["images"] == 18, err
    made = RunStore(runs).get(second["run"])
    assert made.record.name == "Pets (version 2)" and made.record.parents == [run]
    assert second["result"]["content_hash"] != first["result"]["content_hash"]


# ---- who used which images


def test_uses_are_counted_from_indices_and_disjoint_parts_are_found(service: Service) -> None:
    store, digits = service.store, {"dataset": "digits"}
    labels = catalog.load("digits").train_labels
    whole = make(RealData, digits)
    train = new_run(store, "train", {**digits, "images_per_class": 40, "validation": 0.2})
    tuned = new_run(store, "train", {**digits, "images_per_class": 60, "init_from": train.id})
    new_run(store, "classify", {**digits, "images_per_class": 20, "subset_seed": 3})
    new_run(
        store, "classify", {**digits, "arm": "synthetic", "synthetic": "x", "images_per_class": 9}
    )
    made = new_run(store, "synthesize", {"source": train.id})
    new_run(store, "fidelity", {"images": made.id, "reference": "validation"})
    new_run(store, "train", {"dataset": "mnist5k"})
    found = service.roles("digits")
    by_role: dict[str, list[Any]] = {}
    for use in found.uses:
        by_role.setdefault(use.role, []).append(use)
    pools = {u.run: u.images for u in by_role["generator"]}
    first = selected(real_data(whole, images_per_class=40, validation=0.2))
    second = selected(real_data(whole, images_per_class=60)).pool
    assert (pools[train.id] == first.pool).all()
    assert (pools[tuned.id] == np.union1d(first.pool, second)).all()
    assert len(by_role["classifier"]) == 1 and len(by_role["classifier"][0].images) == 200
    assert (by_role["validation"][0].images == first.validation).all()
    assert (by_role["fidelity"][0].images == first.validation).all()
    assert sum(u.count for u in by_role["test"]) == 2 and all(u.test for u in by_role["test"])
    saw = np.union1d(first.pool, second)
    own = selected(real_data(whole, images_per_class=20, subset_seed=3)).pool
    assert found.free == {
        "generator": len(labels) - len(saw),
        "classifier": len(labels) - 200,
        "either": len(labels) - len(np.union1d(saw, own)),
    }


def test_the_settings_that_are_offered_set_aside_only_images_that_nothing_saw(
    service: Service,
) -> None:
    digits = {"dataset": "digits"}
    assert service.roles("digits").aside is None
    new_run(service.store, "train", {**digits, "images_per_class": 60})
    new_run(service.store, "classify", {**digits, "images_per_class": 20})
    offered = service.roles("digits").aside
    assert offered is not None and offered.validation >= 0.4
    made = selected(make(RealData, {**digits, "validation": offered.validation}))
    saw = selected(make(RealData, {**digits, "images_per_class": 60})).pool
    assert len(made.validation) == offered.images and not np.isin(made.validation, saw).any()
    new_run(service.store, "train", digits)
    assert service.roles("digits").aside is None and service.roles("digits").free["generator"] == 0


def test_the_settings_that_are_offered_train_on_what_no_generator_saw(service: Service) -> None:
    digits = {"dataset": "digits"}
    assert service.roles("digits").unseen is None
    new_run(service.store, "train", {**digits, "images_per_class": 60, "subset_seed": 3})
    new_run(service.store, "train", {**digits, "images_per_class": 20, "subset_seed": 3})
    offered = service.roles("digits").unseen
    assert offered is not None and (offered.skip_per_class, offered.subset_seed) == (60, 3)
    values = {**digits, "subset_seed": 3, "skip_per_class": 60}
    rest = selected(make(RealData, values)).pool
    saw = selected(make(RealData, {**digits, "subset_seed": 3, "images_per_class": 60})).pool
    assert len(rest) == offered.images == 1200 - 600 and not np.isin(rest, saw).any()
    few = selected(make(RealData, {**values, "images_per_class": 10})).pool
    assert len(few) == 100 and np.isin(few, rest).all()
    # a generator with another seed has seen images anywhere: another skip, or nothing is left
    new_run(service.store, "train", {**digits, "images_per_class": 60})
    offered = service.roles("digits").unseen
    if offered is not None:
        at = {"skip_per_class": offered.skip_per_class, "subset_seed": offered.subset_seed}
        rest = selected(make(RealData, {**digits, **at})).pool
        other = selected(make(RealData, {**digits, "images_per_class": 60})).pool
        assert len(rest) == offered.images and not np.isin(rest, np.union1d(saw, other)).any()
    new_run(service.store, "train", digits)
    assert service.roles("digits").unseen is None
    with pytest.raises(SpecError, match=r"--skip-per-class\): 500 cannot be used; class 0 has"):
        selected(make(RealData, {**digits, "skip_per_class": 500}))


def test_a_generator_with_an_unknown_past_is_said(service: Service) -> None:
    base = new_run(service.store, "train", {"dataset": "digits", "images_per_class": 40})
    new_run(service.store, "train", {"dataset": "digits", "init_from": base.id})
    service.store.trash(base)
    found = service.roles("digits")
    assert (found.unknown, found.aside) == (1, None)


def test_what_saw_a_version_saw_its_images_in_the_others(service: Service, tmp_path: Path) -> None:
    first = imported(service, folder_of(tmp_path / "pets", class_files(each=10)))
    more = [
        folder_of(tmp_path / n, class_files(each=5, prefix=f"{n}/")) / n for n in ("one", "onetwo")
    ]
    second, other = (imported(service, folder, extends=first) for folder in more)
    new_run(service.store, "train", {"dataset": first, "images_per_class": 3})
    found = service.roles(second)
    part = selected(make(RealData, {"dataset": first, "images_per_class": 3})).pool
    assert [u.images.tolist() for u in found.uses if u.images is not None] == [part.tolist()]
    assert found.free["generator"] == found.train - 6 == 18
    new_run(service.store, "train", {"dataset": second})
    assert service.roles(first).free["generator"] == 0
    assert service.roles(other).free["generator"] == 24 - 16
    service.store.trash(service.get(first))
    found = service.roles(second)
    assert (found.unknown, found.free["generator"], found.aside) == (1, 0, None)


# ---- pictures


def test_pictures_of_left_out_files_show_those_that_can_be_decoded(tmp_path: Path) -> None:
    files = class_files(each=8)
    known = [files["cat/0.png"], files["dog/1.png"]]
    files |= {"cat/note.png": b"none", "dog/half.png": known[0][:99], "dog/again.png": known[0]}
    files |= {"cat/same.png": known[0], "dog/same.png": known[1]}
    for form in (folder_of(tmp_path / "pets", files), zip_of(tmp_path / "pets.zip", files)):
        out = tmp_path / f"of-{form.name}"
        result, _ = do_import(form, out)
        shown = result["left_out_pictures"]
        said = {f["file"].rpartition("pets/")[2]: f["reason"] for f in shown["files"]}
        assert set(said) == {"cat/same.png", "dog/again.png", "dog/same.png"}
        assert said["dog/again.png"] == "duplicate of an earlier image of another class"
        sheet = np.asarray(Image.open(out / left_out.PICTURE))
        at = list(said).index("dog/same.png") * 16
        assert (sheet[:16, at : at + 16] == np.asarray(Image.open(io.BytesIO(known[1])))).all()


def test_pictures_of_left_out_files_are_few_and_small(tmp_path: Path) -> None:
    files = {
        f"{c}/{i}.png": encoded(picture(i + 99 * k, (96, 96)))
        for k, c in enumerate("ab")
        for i in range(4)
    }
    files |= {f"b/again{i}.png": files["b/0.png"] for i in range(40)}
    result, _ = do_import(folder_of(tmp_path / "big", files), tmp_path / "out")
    shown = result["left_out_pictures"]
    assert (len(shown["files"]), shown["cell"], shown["columns"]) == (24, 64, 8)
    assert Image.open(tmp_path / "out" / shown["path"]).size == (8 * 64, 3 * 64)


def test_the_small_picture_of_a_set_has_an_image_of_each_class(
    service: Service, tmp_path: Path
) -> None:
    data = catalog.load("digits")
    shown = np.asarray(Image.open(io.BytesIO(service.small_picture("digits"))))
    assert shown.shape == (8, 8 * 8)
    for c in range(8):
        first = data.train_images[data.train_labels == c][0, ..., 0]
        assert (shown[:, 8 * c : 8 * c + 8] == first).all()
    files = {
        f"{c}/{i}.png": encoded(picture(i + 9 * k, (200, 200)))
        for k, c in enumerate("ab")
        for i in range(3)
    }
    run = imported(service, folder_of(tmp_path / "large", files), image_size=200)
    assert Image.open(io.BytesIO(service.small_picture(run))).size[1] == 64
    with pytest.raises(Refused, match="needs|give --data-dir"):
        service.small_picture("cifar10")
