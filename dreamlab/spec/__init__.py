"""One pydantic model per kind of run; the only place where a knob is written."""

from dreamlab.spec.base import ACTIVE, Knob, Spec, SpecError, State, command, differences, explain, knobs, make
from dreamlab.spec.evidence import DEFAULT_VALUES, ClassifySpec, FidelitySpec, MixSpec, SweepSpec
from dreamlab.spec.sampling import SynthesizeSpec
from dreamlab.spec.training import TrainSpec

KINDS: dict[str, type[Spec]] = {
    cls.kind: cls for cls in (TrainSpec, SynthesizeSpec, FidelitySpec, ClassifySpec, MixSpec, SweepSpec)
}
GROUPS: frozenset[str] = frozenset({"mix", "sweep"})

__all__ = [
    "ACTIVE", "DEFAULT_VALUES", "GROUPS", "KINDS", "ClassifySpec", "FidelitySpec", "Knob", "MixSpec", "Spec", "SpecError",
    "State", "SweepSpec", "SynthesizeSpec", "TrainSpec", "command", "differences", "explain", "knobs", "make",
]  # fmt: skip
