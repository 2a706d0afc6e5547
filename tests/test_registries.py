"""Every table by name agrees with the names of the settings, and says so in a sentence where a name
is missing."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dreamlab import studies
from dreamlab.classifiers import networks
from dreamlab.classifiers import registry as classifiers
from dreamlab.data import catalog, judge, named
from dreamlab.data.importing import published
from dreamlab.diffusion.forward_process import TARGETS
from dreamlab.diffusion.losses import WEIGHTINGS
from dreamlab.diffusion.optim import DECAYS, OPTIMIZERS
from dreamlab.diffusion.samplers import NOISE_GENERATORS
from dreamlab.experiments.study.report import OF_PREDICTIONS, OF_RUN
from dreamlab.fidelity.metrics import METRICS
from dreamlab.noise.schedules import SCHEDULES
from dreamlab.noise.timesteps import SAMPLERS
from dreamlab.settings import KINDS, names, settings_of
from dreamlab.settings.classifier_recipe import RECIPES
from dreamlab.settings.presets import PRESETS
from dreamlab.studies import loader
from dreamlab.tasks import TASKS, find_task
from dreamlab.tasks.classify import training
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.train import fine_tuning
from dreamlab.ui.forms.controls import FILLERS, WORDS

STUDY_FILES = {p.stem for p in loader.STUDIES.glob("*.toml")} - {loader.SHARED}
EQUAL: list[tuple[str, Any, Iterable[str]]] = [
    ("data sets", names.DatasetName, named.NAMED),
    ("downloads", names.TorchvisionName, published.PUBLISHED),
    ("parts of the network", names.PartName, fine_tuning.PARTS),
    ("samplers", names.SamplerName, SAMPLERS),
    ("generators of noise", names.NoiseName, NOISE_GENERATORS),
    ("schedules", names.ScheduleName, SCHEDULES),
    ("targets", names.TargetName, TARGETS),
    ("weightings", names.WeightingName, WEIGHTINGS),
    ("decays of a generator's rate", names.LearningRateName, DECAYS),
    ("rates of a classifier", names.LearningRateName, training.RATES),
    ("optimisers", names.OptimizerName, OPTIMIZERS),
    ("state of the optimisers", names.OptimizerName, names.OPTIMIZER_NUMBERS),
    ("presets", names.PresetName, PRESETS),
    ("recipes", names.RecipeName, RECIPES),
    ("classifiers", names.ClassifierName, classifiers.CLASSIFIERS),
    ("extractors", names.ExtractorName, {m.extractor for m in METRICS.values()} - {""}),
    ("measures", names.MeasureName, {m.measure for m in METRICS.values()}),
    ("studies", names.StudyName, STUDY_FILES),
    ("kinds of run", typing.Literal[tuple(KINDS)], TASKS),
]


@pytest.mark.parametrize(("what", "literal", "table"), EQUAL, ids=[e[0] for e in EQUAL])
def test_the_names_of_the_settings_are_those_of_the_registry(
    what: str, literal: Any, table: Iterable[str]
) -> None:
    assert set(typing.get_args(literal)) == set(table), f"names.py and the {what} differ"


def test_every_entry_is_named_as_its_key_says() -> None:
    tables: list[Mapping[str, Any]] = [METRICS, classifiers.CLASSIFIERS, catalog.INFO]
    for table in tables:
        assert list(table) == [entry.name for entry in table.values()]
    assert list(KINDS) == [spec.kind for spec in KINDS.values()]


def test_every_function_that_a_registry_names_is_there() -> None:
    places = [m.function for m in METRICS.values()]
    places += [c.network for c in classifiers.CLASSIFIERS.values()]
    places += [s.function for s in SAMPLERS.values()]
    for place in [*places, *TASKS.values()]:
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), place


def test_other_tables_by_name_name_nothing_that_does_not_exist() -> None:
    choices = {c for spec in KINDS.values() for k in settings_of(spec) for c in k.choices}
    of_setting = {
        f"{k.name}={c}" for spec in KINDS.values() for k in settings_of(spec) for c in k.choices
    }
    assert set(WORDS) <= choices | of_setting, set(WORDS) - choices - of_setting
    assert set(judge.REFERENCE_RECIPES) <= set(named.NAMED)
    for filler, table in FILLERS.items():
        specs = [s for s in KINDS.values() if filler in s.model_fields]
        for name, values in table.items():
            assert all(set(values) <= set(s.model_fields) for s in specs), (filler, name)


def test_a_set_that_is_read_from_a_folder_says_what_the_folder_holds() -> None:
    for name, known in named.NAMED.items():
        assert bool(known.markers) == bool(known.layout) == (not known.info.bundled), name


def test_every_study_measures_what_there_is_to_measure() -> None:
    for name in studies.names():
        for scale in studies.load(name).scales.values():
            for measure in scale.measures:
                first = measure.value.partition(".")[0]
                assert first in (*OF_RUN, *OF_PREDICTIONS), (name, scale.name, measure.value)


def test_an_unknown_name_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(classifiers.UnknownClassifier, match="no classifier 'vgg11'; there are sma"):
        networks.build("vgg11", 1, 28, 10)
    with pytest.raises(catalog.DataError, match="There is no data set 'svhn'; there are mnist5k"):
        catalog.info("svhn")
    with pytest.raises(KeyError, match="There is no study 's9'; there are s0-mnist"):
        studies.load("s9")
    with pytest.raises(TaskError, match="no task for runs of kind 'dream'; there are import"):
        find_task("dream")
    monkeypatch.setattr(loader, "STUDIES", tmp_path)
    loader.read.cache_clear()
    loader.load.cache_clear()
    try:
        with pytest.raises(ValueError, match="s0-mnist.toml: the file is missing"):
            studies.load("s0-mnist")
    finally:
        loader.read.cache_clear()
        loader.load.cache_clear()


def test_a_classifier_without_its_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = classifiers.KnownClassifier("mlp", "MLP", 1.0, "dreamlab.classifiers.plain:gone")
    monkeypatch.setitem(classifiers.CLASSIFIERS, "mlp", gone)
    with pytest.raises(classifiers.UnknownClassifier, match="mlp has no network .*plain:gone"):
        networks.build("mlp", 1, 8, 10)
