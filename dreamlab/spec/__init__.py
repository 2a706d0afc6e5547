"""One pydantic model per kind of run; the only place where a knob is written."""

from dreamlab.spec.base import ACTIVE, Knob, Spec, SpecError, State, command, differences, explain, knobs, make
from dreamlab.spec.evidence import DEFAULT_VALUES, ClassifySpec, FidelitySpec, MixSpec, StudySpec, SweepSpec
from dreamlab.spec.importing import ImportSpec
from dreamlab.spec.realdata import DATASETS, RealData
from dreamlab.spec.recipes import ClassifierRecipe
from dreamlab.spec.sampling import SynthesizeSpec
from dreamlab.spec.training import TrainSpec

KINDS: dict[str, type[Spec]] = {
    cls.kind: cls
    for cls in (ImportSpec, TrainSpec, SynthesizeSpec, FidelitySpec, ClassifySpec, MixSpec, SweepSpec, StudySpec)
}
GROUPS: frozenset[str] = frozenset({"mix", "sweep", "study"})

__all__ = [
    "ACTIVE", "DATASETS", "DEFAULT_VALUES", "GROUPS", "KINDS", "ClassifierRecipe", "ClassifySpec", "FidelitySpec", "ImportSpec", "Knob", "MixSpec", "RealData", "Spec",
    "SpecError", "State", "StudySpec", "SweepSpec", "SynthesizeSpec", "TrainSpec", "command", "differences", "explain", "knobs", "make",
]  # fmt: skip
