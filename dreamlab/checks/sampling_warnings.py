"""Cautions about how a run samples: steps with which the images vary too little or too much, and
guidance weights that are large. One sentence each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from dreamlab.checks.known import Known
from dreamlab.checks.noise_levels import alpha_bar_of, percent
from dreamlab.experiments import plan
from dreamlab.noise import schedules
from dreamlab.noise.spread import spread_kept
from dreamlab.settings import (
    KINDS,
    MixSpec,
    Spec,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    make,
)
from dreamlab.settings.names import SamplerName

LEAST_SPREAD, MOST_SPREAD = 0.9, 1.1
"""Shares of the spread of Gaussian data: below the first and above the second there is a
warning."""
GOOD_LEAST, GOOD_MOST = 0.95, 1.06
"""A warning names a number of steps with a share between these."""
USUAL_STEPS = (10, 20, 50, 100, 200, 500, 1000)
LISTED = 4
"""A sentence lists at most so many values; of more, it gives the first and the last."""
LARGE_WEIGHT = 6.0
"""Guidance weight w above which images are usually oversaturated (Saharia et al. 2022, section
2.3)."""
EFFECT = "colours that are too strong and images that are alike."
STRONG = f"A guidance weight above {LARGE_WEIGHT:g} usually gives {EFFECT}"


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Images that a run samples: the value of a sweep or the part of an experiment that they belong
    to, their settings, and those of one of their models."""

    where: str
    spec: SynthesizeSpec
    trained: TrainSpec

    @functools.cached_property
    def kept(self) -> float | None:
        """Their spread as a share of that of Gaussian data; None if it is not known."""
        return self.with_steps(self.spec.sampler, self.spec.num_steps)

    def with_steps(self, sampler: SamplerName, num_steps: int) -> float | None:
        """The same with another sampler or number of steps."""
        if num_steps > self.trained.num_train_timesteps:
            return None
        own = sampler == self.spec.sampler
        return spread_kept(
            sampler,
            alpha_bar_of(self.trained),
            num_steps,
            eta=self.spec.eta if own else 0.0,
            variance=self.spec.variance if own else "posterior",
            logvar_coefficient=self.spec.logvar_coefficient,
        )


def cautions_of_set(spec: SynthesizeSpec, trained: Sequence[TrainSpec]) -> list[str]:
    """The cautions about a synthetic set; `trained` are the settings of its models."""
    said = _spread([Sampled("", spec, t) for t in trained])
    if spec.guidance_weight > LARGE_WEIGHT and spec.clip != "dynamic":
        said.append(f"{STRONG} Use a smaller one, or dynamic clipping (--clip dynamic).")
    return said


def cautions_of_experiment(spec: MixSpec | SweepSpec | StudySpec, known: Known) -> list[str]:
    """The cautions about the sets that an experiment samples. Raises SpecError, RunError and
    DataError."""
    made = _sets(spec, known)
    if isinstance(spec, StudySpec):
        return _spread_listed(made, "of its part") + _weights_of_parts(made)
    if isinstance(spec, MixSpec) or list(spec.axes) == ["guidance_weight"]:
        said = _spread(made)
    else:
        said = _spread_listed(made, f"at {' and '.join(spec.axes)}")
    if isinstance(spec, SweepSpec) and "num_train_timesteps" in spec.axes:
        said += _schedules(made)
    large = [s for s in made if s.spec.guidance_weight > LARGE_WEIGHT]
    if isinstance(spec, SweepSpec) and "guidance_weight" in spec.axes:
        if large:
            here = _listed([s.where for s in large])
            said.append(f"Values above {LARGE_WEIGHT:g} (here {here}) usually give {EFFECT}")
    elif large:
        said.append(f"{STRONG} Use a smaller one.")
    return said


def _sets(spec: Spec, known: Known) -> list[Sampled]:
    """The sets that an experiment samples, once per model."""
    made = []
    for child in plan(spec, known):
        if child.kind not in ("train", "synthesize"):
            continue
        planned = make(KINDS[child.kind], child.values)
        known.plan(child.role, planned)
        if isinstance(planned, SynthesizeSpec):
            where = child.role.removeprefix("set:") if isinstance(spec, SweepSpec) else child.role
            made += [Sampled(where, planned, t) for t in models_of(planned, known)]
    return made


def models_of(spec: SynthesizeSpec, known: Known) -> list[TrainSpec]:
    """The settings of the generator and the upsampling stages of a set. Raises RunError."""
    found = [known.spec(name) for name in (spec.source, *spec.upsample)]
    return [trained for trained in found if isinstance(trained, TrainSpec)]


def _spread(sets: Sequence[Sampled]) -> list[str]:
    """The sentences about the spread of sets that all have the same sampler and steps."""
    said = []
    for much, off in _off(sets):
        shares = sorted(s.kept or 0.0 for s in off)
        first, last = (_share(shares[0]), _share(shares[-1]))
        share = first if first == last else f"{first} to {last}"
        spec = off[0].spec
        steps = f"{spec.num_steps:,} step{'s' * (spec.num_steps > 1)}"
        what = f"have {share} of its spread" if much else f"keep {share} of its spread"
        said.append(
            f"With {spec.sampler} and {steps} the images vary too {'much' if much else 'little'}:"
            f" for Gaussian data, they {what}. {_remedy(off)}"
        )
    return said


def _spread_listed(sets: Sequence[Sampled], words: str) -> list[str]:
    """The sentences about the spread of sets that differ; `words` come before their names."""
    said = []
    for much, off in _off(sets):
        for sampler in dict.fromkeys(s.spec.sampler for s in off):
            here = [s for s in off if s.spec.sampler == sampler]
            plural = "s" * (len(here) > 1 and words.endswith("part"))
            said.append(
                f"With {sampler}, the images {words}{plural} {_listed([s.where for s in here])}"
                f" {'have' if much else 'keep only'} {_listed([_share(s.kept or 0) for s in here])}"
                " of the spread of Gaussian data."
            )
    return said


def _off(sets: Sequence[Sampled]) -> list[tuple[bool, list[Sampled]]]:
    """(False, the sets that vary too little) and (True, those that vary too much), where there are
    any."""
    little = [s for s in sets if s.kept is not None and s.kept < LEAST_SPREAD]
    much = [s for s in sets if s.kept is not None and s.kept > MOST_SPREAD]
    return [(more, off) for more, off in ((False, little), (True, much)) if off]


def _remedy(off: Sequence[Sampled]) -> str:
    sampler, now = off[0].spec.sampler, off[0].spec.num_steps
    ways = []
    if sampler != "dpmpp_2m":
        if steps := _enough(off, "dpmpp_2m", now):
            ways.append("dpmpp_2m" if steps == now else f"dpmpp_2m with {steps:,} steps")
    if steps := _enough(off, sampler, now):
        ways.append(f"at least {steps:,} steps")
    return f"Use {', or '.join(ways) or 'a generator with a larger T'}."


def _enough(off: Sequence[Sampled], sampler: SamplerName, now: int) -> int:
    """The first usual number of steps from `now` with which all sets have a good spread; 0 if there
    is none."""
    most = min(s.trained.num_train_timesteps for s in off)
    for n in [now, *(n for n in USUAL_STEPS if now < n < most), most]:
        if all(GOOD_LEAST <= (s.with_steps(sampler, n) or 0) <= GOOD_MOST for s in off):
            return n
    return 0


def _weights_of_parts(sets: Sequence[Sampled]) -> list[str]:
    """The sentence about large guidance weights in the parts of a study."""
    large = [
        s.where for s in sets if s.spec.guidance_weight > LARGE_WEIGHT and s.spec.clip != "dynamic"
    ]
    if not large:
        return []
    return [f"{STRONG} It has such a weight in: {_listed(list(dict.fromkeys(large)))}."]


def _schedules(sets: Sequence[Sampled]) -> list[str]:
    """The sentence about values of T whose last step still shows the image."""
    shown = [(s.where, alpha_bar_of(s.trained)) for s in sets]
    shown = [
        (where, alpha_bar) for where, alpha_bar in shown if schedules.off_distribution(alpha_bar)
    ]
    if not shown:
        return []
    left = _listed([percent(schedules.kept_share(alpha_bar)) for _, alpha_bar in shown])
    return [
        f"At num_train_timesteps {_listed([where for where, _ in shown])} x_T in training still"
        f" contains {left} of the image, but sampling starts from pure noise."
    ]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _listed(words: Sequence[str]) -> str:
    """Words with 'and' before the last; the first and the last of many."""
    if len(words) > LISTED:
        return f"{words[0]} to {words[-1]}"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
