"""The study files hold what was published, every scale of them can be planned, and a report sets
both side by side."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing
from pathlib import Path
from typing import Any

import pytest

from dreamlab import paths, studies
from dreamlab.architecture.network import network_of
from dreamlab.checks.network import check_network
from dreamlab.checks.sampling import check_sampling
from dreamlab.data import catalog
from dreamlab.data.selection import available
from dreamlab.experiments import Child, plan
from dreamlab.experiments.study.report import published_anomalies
from dreamlab.settings import (
    KINDS,
    ClassifySpec,
    SpecError,
    StudySpec,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.settings.names import ScaleName
from dreamlab.store import RunStore
from dreamlab.studies import loader, published
from tests.evidence_helpers import new_store
from tests.study_helpers import imported, standing_in

SCALES = [(name, scale) for name in studies.names() for scale in studies.load(name).scales]
LAPTOP = [name for name, scale in SCALES if scale == "laptop"]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def planned(
    name: str, scale: str, store: RunStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Child]:
    """The children of a scale, on stand-ins for data sets that are not here."""
    return plan(standing_in(name, scale, folder, monkeypatch), store)


def specs(children: list[Child]) -> dict[str, Any]:
    return {c.role: make(KINDS[c.kind], dict(c.values)) for c in children}


# ---- the files


def test_every_name_has_a_file_with_all_scales_and_no_file_is_left_over() -> None:
    files = {path.stem for path in paths.STUDIES.glob("*.toml")} - {loader.SHARED}
    assert files == set(studies.names())
    for name in studies.names():
        study = studies.load(name)
        assert set(study.scales) == set(typing.get_args(ScaleName))
        assert (
            study.study == name[:2].upper()
            and study.question.endswith("?")
            and study.notes
            and study.settings
        )
    with pytest.raises(KeyError, match="no study 's9'"):
        studies.load("s9")


IDENTITIES = {
    "s0-mnist": "cb52df9474ebb162",
    "s0-cifar": "797804fab6c6c11b",
    "s0-guidance": "85a8ce3fe071b207",
    "s1-cas": "5db95470a557c26a",
    "s1-models": "b456e17f4670fe1d",
    "s1-scaling": "2e1fd99e1cfbcf7a",
    "s1-fid": "16949ee39238db40",
    "s2-mlp": "b12ccdedd778e7db",
    "s2-cnn": "7f82519b733eba18",
    "s2-schedules": "71899ae56d9f5e56",
    "s2-epochs": "24564caba5bf37ca",
    "s3-tail": "d796d10243efd07a",
    "s3-targeted": "cc1576c406a9cafe",
    "s3-replacement": "751da1b0ad81af3b",
    "s3-background": "7b692f0af0a8b3e4",
    "s4-tsweep": "5710c00b12952d64",
    "s4-classify": "75cebecd7a33d333",
}
"""Hash of what is read from each study file. A finished study is found again as long as it stays;
where a file changes, its own hash changes. Version 0.1 did not pin fp32 and had other ones."""


def test_a_finished_study_is_found_again_unless_its_file_has_changed() -> None:
    found = {
        name: hashlib.sha256(studies.load(name).identity.encode()).hexdigest()[:16]
        for name in studies.names()
    }
    assert found == IDENTITIES


@pytest.mark.parametrize("name", studies.names())
def test_texts_are_sentences_and_no_placeholder_is_left(name: str) -> None:
    study = studies.load(name)
    for scale in study.scales.values():
        said = [
            scale.summary,
            scale.data,
            *scale.assumptions,
            *study.notes,
            *(c.flag for c in study.cells if c.flag),
        ]
        assert all(text.endswith(".") and "{" not in text for text in said)
        assert scale.assumptions and (scale.dataset or "--dataset" in scale.data)
        cells = [m.cell for m in scale.measures]
        assert all(
            "{" not in c.id.replace("{column}", "") + c.arm + m.stand_in
            for c, m in zip(cells, scale.measures, strict=True)
        )
        assert len({m.cell.id for m in scale.measures}) == len(scale.measures), (
            "a cell is measured twice"
        )


PUBLISHED = {
    "s0-mnist": {"real": 0.97, "synthetic": 0.71, "50/50": 0.98, "10/90": 0.95, "90/10": 0.99},
    "s0-cifar": {"real": 0.69, "synthetic": 0.36, "50/50": 0.50, "10/90": 0.44, "90/10": 0.36},
    "s1-cas": {
        "real-top1": 73.09,
        "biggan-top1": 42.65,
        "vqvae2-top5": 77.59,
        "cdm-top1": 63.02,
        "imagen256-top5": 85.66,
        "imagen1024-top1": 69.24,
    },
    "s1-models": {
        "resnet50-both": 78.17,
        "resnet152-gen": 72.38,
        "resnet-rs-101-190-delta": 0.51,
        "deit-b-224-delta": 1.04,
        "deit-l-real": 82.22,
    },
    "s1-scaling": {"0-256": 76.39, "1-1024": 78.12, "5-256": 75.81, "9-1024": 73.70},
    "s1-fid": {
        "64-imagen-train": 1.21,
        "64-cdm-val": 2.48,
        "64-rin-is": 66.5,
        "256-vqvae2-train": 31.11,
        "256-imagen-is": 239.18,
        "256-uvit-val": 3.23,
    },
    "s2-mlp": {"before": 44.0, "after": 46.47, "gain": 2.47},
    "s3-replacement": {
        "real": 76.63,
        "98/2": 77.37,
        "94/6": 75.54,
        "90/10": 76.20,
        "88/12": 73.49,
        "gain": 0.74,
    },
    "s4-tsweep": {
        "100-flower": 369.88,
        "600-anime": 95.55,
        "1700-butterfly": 308.78,
        "2000-flower": 144.07,
        "time-100": 500,
        "time-2000": 10120,
    },
    "s4-classify": {
        "resnet18-origin": 65,
        "resnet18-mix": 72,
        "vgg16-synthesis": 54,
        "vgg16-gain": 9,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_are_those_of_the_papers(name: str) -> None:
    found = {cell.id: cell.published for cell in studies.load(name).cells}
    assert {cell: found[cell] for cell in PUBLISHED[name]} == PUBLISHED[name]


def test_the_tables_are_whole() -> None:
    count = {
        name: sum(c.published is not None for c in studies.load(name).cells)
        for name in studies.names()
    }
    assert count == {
        "s0-mnist": 5,
        "s0-cifar": 5,
        "s0-guidance": 0,
        "s1-cas": 12,
        "s1-models": 48,
        "s1-scaling": 20,
        "s1-fid": 42,
        "s2-mlp": 3,
        "s2-cnn": 0,
        "s2-schedules": 0,
        "s2-epochs": 0,
        "s3-tail": 0,
        "s3-targeted": 0,
        "s3-replacement": 8,
        "s3-background": 0,
        "s4-tsweep": 80,
        "s4-classify": 8,
    }
    spread = {c.id: (c.low, c.high) for c in studies.load("s1-scaling").cells}
    assert spread["7-1024"] == (74.52, 74.92) and all(None not in s for s in spread.values())
    times = [c.published for c in studies.load("s4-tsweep").cells if c.unit == "s"]
    steps = [(b - a) / 100 for a, b in zip(times, times[1:], strict=False)]
    assert (
        len(times) == 20 and max(abs(s - 5.06) for s in steps) < 0.1
    )  # 5.06 s per step, as the table's text has it


def test_what_is_doubtful_in_the_published_tables_is_found_by_rule() -> None:
    said = {name: " ".join(published_anomalies(studies.load(name))) for name in studies.names()}
    assert (
        "90 % real, 10 % synthetic (0.36) equals the lower" in said["s0-cifar"]
        and not said["s0-mnist"]
    )
    assert "8 % replaced and 10 % replaced are both 76.2" in said["s3-replacement"]
    assert "+1.04 is stated" in said["s1-models"] and not said["s2-mlp"] and not said["s4-classify"]


def test_every_block_of_settings_is_used() -> None:
    text = "".join(path.read_text() for path in paths.STUDIES.glob("*.toml"))
    assert not [block for block in loader.read(loader.SHARED)["blocks"] if f'"{block}"' not in text]


def test_a_file_that_contradicts_itself_is_refused_by_name() -> None:
    good = loader.read("s2-cnn")
    laptop = good["scale"]["laptop"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"flags": {"nothing": "x."}}, "flags name no published cell"),
        ({"colour": 1}, "entries that mean nothing"),
        ({"checks": [{"cells": ["nowhere"]}]}, "checks name no published cell"),
        ({"published": [{**good["published"][0], "amounts": [1], "axis": "T"}]}, "have 1 amounts"),
        (
            {
                "scale": {
                    **good["scale"],
                    "laptop": {
                        **laptop,
                        "rows": [{"cell": "x", "child": "real", "value": "accuracy"}],
                    },
                }
            },
            "row x is no",
        ),
        (
            {"scale": {**good["scale"], "laptop": {**laptop, "parts": laptop["parts"][:3]}}},
            "reads parts that it lacks",
        ),
        (
            {
                "scale": {
                    **good["scale"],
                    "laptop": {**laptop, "parts": laptop["parts"] + laptop["parts"][:1]},
                }
            },
            "two parts of one role",
        ),
    ]
    for change, words in wrong:
        with pytest.raises(ValueError, match=rf"^s2-cnn\.toml: .*{words}"):
            loader.study_of("s2-cnn", {**good, **change})
    assert loader.study_of("s2-cnn", good) == studies.load("s2-cnn")


def test_a_file_that_is_no_toml_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spoilt.toml").write_bytes(b'title = "open')
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    monkeypatch.setattr(loader, "STUDIES", tmp_path)
    for name in ("spoilt", "latin"):
        with pytest.raises(ValueError, match=rf"^{name}\.toml: "):
            loader.read(name)


# ---- plans


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_scale_can_be_planned(
    name: str, scale: str, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = planned(name, scale, store, tmp_path, monkeypatch)
    made, seen = specs(children), set()
    for child in children:
        needed = {v[1:] for v in child.values.values() if isinstance(v, str) and v.startswith("@")}
        assert needed <= seen, "a part comes before what it needs"
        seen.add(child.role)
        spec = made[child.role]
        if isinstance(spec, TrainSpec):
            check_network(network_of(spec))
            assert child.values.get("steps") or child.values.get("epochs"), (
                "a budget in seconds gives another model on another machine"
            )
        if isinstance(spec, SynthesizeSpec):
            trained = made[spec.source[1:]]
            check_sampling(
                spec,
                trained,
                10 if spec.labeller != "none" else len(catalog.drawn_classes(trained)),
            )
            assert trained.conditional == (spec.labeller == "none") or name in (
                "s4-tsweep",
                "s3-background",
            )
        if isinstance(spec, ClassifySpec):
            assert spec.seeds >= 3 and bool(spec.synthetic) == (
                spec.arm not in ("real", "duplicated+1x")
            )


def test_every_study_computes_in_fp32_on_every_machine() -> None:
    parts = [p for n in studies.names() for s in studies.load(n).scales.values() for p in s.parts]
    generated = [p for p in parts if p.kind in ("train", "synthesize")]
    assert generated and {p.values["precision"] for p in generated} == {"fp32"}


@pytest.mark.parametrize("name", LAPTOP)
def test_a_laptop_scale_is_small(name: str, store: RunStore) -> None:
    children = plan(make(StudySpec, {"study": name}), store)
    for spec in specs(children).values():
        if isinstance(spec, TrainSpec | ClassifySpec):
            assert spec.dataset in ("digits", "mnist5k") and sum(available(spec)) <= 1000
        if isinstance(spec, ClassifySpec):
            assert spec.classifier in (
                "small_cnn",
                "cnn",
                "mlp",
                "unet_encoder_small",
            ) and spec.seeds in (3, 5)
            assert spec.budget == "steps" or name == "s2-mlp", "steps are equal"


def test_the_long_tail_is_equation_1(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = specs(planned("s3-tail", "paper", store, tmp_path, monkeypatch))
    assert available(made["real"]) == [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]
    assert (made["both"].arm, made["set"].per_class, made["set"].classes) == (
        "real+500@8+9",
        500,
        (8, 9),
    )
    own = specs(planned("s3-tail", "corrected", store, tmp_path, monkeypatch))["generator"]
    assert sum(available(own)) == 20_431


def test_a_set_holds_what_its_largest_arm_needs(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling = specs(planned("s1-scaling", "corrected", store, tmp_path, monkeypatch))
    assert scaling["set"].per_class == 45_000 and scaling["arm:9"].arm == "real+9x"
    replaced = specs(planned("s3-replacement", "paper", store, tmp_path, monkeypatch))
    assert replaced["set"].per_class == 600 and replaced["88/12"].arm == "88/12"
    corrected = specs(planned("s0-cifar", "corrected", store, tmp_path, monkeypatch))
    kept = sum(available(corrected["arm:10/90"]))
    assert (
        kept == sum(available(corrected["generator:10/90"])) == 4500
        and corrected["set:10/90"].per_class == 9 * 450
    )


def test_studies_share_what_is_the_same(store: RunStore) -> None:
    def hashes(name: str, kind: str) -> set[str]:
        found = specs(plan(make(StudySpec, {"study": name}), store)).values()
        return {s.content_hash() for s in found if s.kind == kind}

    assert hashes("s0-mnist", "train") == hashes("s0-guidance", "train")
    assert (
        hashes("s1-cas", "train")
        == hashes("s1-models", "train")
        == hashes("s1-scaling", "train")
        == hashes("s1-fid", "train")
    )
    assert hashes("s2-mlp", "train") == hashes("s2-cnn", "train") < hashes("s2-epochs", "train")
    assert hashes("s3-targeted", "train") == hashes("s3-background", "train")
    assert hashes("s3-targeted", "train") & hashes("s3-tail", "train") and hashes(
        "s3-replacement", "train"
    ) < hashes("s3-targeted", "train")


def test_the_user_has_the_last_word_on_data_seeds_and_device(store: RunStore) -> None:
    values = {
        "study": "s3-replacement",
        "dataset": "mnist5k",
        "seeds": 2,
        "device": "cpu",
        "data_dir": "there",
    }
    for child in plan(make(StudySpec, values), store):
        spec = make(KINDS[child.kind], dict(child.values))
        assert spec.device == "cpu"
        if child.kind in ("train", "classify"):
            assert (spec.dataset, spec.data_dir) == ("mnist5k", "there")
        if isinstance(spec, ClassifySpec):
            assert spec.seeds == 2


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        (
            {"study": "s4-tsweep", "scale": "paper"},
            "dataset",
            "Needs flowers, butterflies or anime faces: import",
        ),
        ({"study": "s0-mnist", "seeds": 1}, "seeds", "needs at least 2"),
        (
            {"study": "s0-mnist", "scale": "paper", "data_dir": "nowhere at all"},
            "data_dir",
            "does not exist",
        ),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(
    store: RunStore, values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as refused:
        plan(make(StudySpec, values), store)
    assert refused.value.field == field and len(re.findall(r"\n", str(refused.value))) == 0


def test_a_scale_that_a_study_lacks_is_refused(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = studies.load("s1-cas")
    scales = {name: s for name, s in study.scales.items() if name != "middle"}
    fewer = dataclasses.replace(study, scales=scales)
    monkeypatch.setattr(studies, "load", lambda name: fewer)
    with pytest.raises(SpecError, match="no middle scale; it has laptop, corrected, paper"):
        plan(make(StudySpec, {"study": "s1-cas", "scale": "middle"}), store)


def test_a_data_set_that_does_not_suit_a_study_is_refused(store: RunStore, tmp_path: Path) -> None:
    name = imported(tmp_path, "two", "Flowers and butterflies", 32, 2, 120, 10)
    with pytest.raises(SpecError, match="the classes are 0 to 1"):
        plan(make(StudySpec, {"study": "s3-tail", "dataset": name}), store)


def test_a_published_spread_is_read_from_its_text() -> None:
    read = published.published_number
    assert read("76.39±0.21") == (76.39, 76.18, 76.6)
    assert read(44) == (44.0, None, None) and read("") == (None, None, None)
    for text in ("76.39", "about 76", "76±1±2"):
        with pytest.raises(ValueError):
            read(text)
