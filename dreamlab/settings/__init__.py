"""The settings: one pydantic model per kind of run, with presets and recipes."""

from dreamlab.settings.base import Spec, SpecError, explain, make
from dreamlab.settings.classifier_recipe import ClassifierRecipe
from dreamlab.settings.classify import ClassifySpec
from dreamlab.settings.commands import command, differences
from dreamlab.settings.fidelity import FidelitySpec
from dreamlab.settings.importing import ImportSpec
from dreamlab.settings.mix import MixSpec
from dreamlab.settings.real_data import DATASETS, RealData, RealPart
from dreamlab.settings.setting import NONE, Setting, exact, settings_of
from dreamlab.settings.study import StudySpec
from dreamlab.settings.sweep import DEFAULT_VALUES, SweepSpec
from dreamlab.settings.synthesize import SynthesizeSpec
from dreamlab.settings.train import TrainSpec

KINDS: dict[str, type[Spec]] = {
    cls.kind: cls
    for cls in (
        ImportSpec,
        TrainSpec,
        SynthesizeSpec,
        FidelitySpec,
        ClassifySpec,
        MixSpec,
        SweepSpec,
        StudySpec,
    )
}
EXPERIMENT_KINDS: frozenset[str] = frozenset({"mix", "sweep", "study"})

__all__ = [
    "DATASETS",
    "DEFAULT_VALUES",
    "EXPERIMENT_KINDS",
    "KINDS",
    "NONE",
    "ClassifierRecipe",
    "ClassifySpec",
    "FidelitySpec",
    "ImportSpec",
    "MixSpec",
    "RealData",
    "RealPart",
    "Setting",
    "Spec",
    "SpecError",
    "StudySpec",
    "SweepSpec",
    "SynthesizeSpec",
    "TrainSpec",
    "command",
    "differences",
    "exact",
    "explain",
    "make",
    "settings_of",
]
