"""Samples images with the settings of a spec: a base generator, its guide, and super-resolution
stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from dreamlab.checks.sampling import check_cascade, check_guide, check_sampling
from dreamlab.diffusion.forward_process import diffuse, noise_level, upsample
from dreamlab.diffusion.guidance import Guidance, Low, denoiser
from dreamlab.diffusion.samplers import NOISE_GENERATORS, Noise, Reverse, Step, find_sampler
from dreamlab.noise.timesteps import evaluations
from dreamlab.settings import SpecError, SynthesizeSpec
from dreamlab.settings.synthesize import guidance_weight
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.generator import TrainedGenerator, to_uint8
from dreamlab.tasks.synthesize.sampling_precision import fastest
from dreamlab.tasks.train.state import load_weights


@dataclasses.dataclass(frozen=True)
class Picture:
    """One sampling step as uint8 images (N, H, W, C): x_t after the step and the predicted x0. The
    numbers are those of `Step`."""

    index: int
    total: int
    t: int
    stage: int
    x: np.ndarray
    x0: np.ndarray


class Pipeline:
    """Samples with the settings of a spec.

    `stages` are super-resolution models that are applied in this order. With precision `auto`, each
    model keeps its own number format, until `formats` is set.
    """

    def __init__(
        self,
        generator: TrainedGenerator,
        spec: SynthesizeSpec,
        *,
        guide: TrainedGenerator | None = None,
        stages: Sequence[TrainedGenerator] = (),
    ):
        self.spec = spec
        self.models = [generator, *stages]
        self.guide = guide
        self.total = spec.num_steps * len(self.models)
        if spec.precision != "auto":
            self.formats = [spec.precision] * len(self.networks)

    @property
    def networks(self) -> list[TrainedGenerator]:
        """All models: generator, stages and guide."""
        return [*self.models, *([self.guide] if self.guide else [])]

    @property
    def formats(self) -> list[str]:
        """The number format of each of `networks`."""
        return [g.precision for g in self.networks]

    @formats.setter
    def formats(self, wanted: Sequence[str]) -> None:
        replaced = [
            dataclasses.replace(g, precision=p) for g, p in zip(self.networks, wanted, strict=True)
        ]
        count = len(self.models)
        self.models, self.guide = replaced[:count], next(iter(replaced[count:]), None)

    @property
    def precision(self) -> str:
        """Number formats of the models, such as "fp32"; a single one if all have the same."""
        return ", ".join(dict.fromkeys(g.precision for g in self.models))

    @property
    def classes(self) -> int:
        """Number of classes that can be sampled."""
        return self.models[0].classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the finished images."""
        last = self.models[-1]
        return last.image_size, last.image_size, last.channels

    @property
    def network_calls(self) -> int:
        """Number of network evaluations per image, over all stages."""
        calls = 0
        for stage, g in enumerate(self.models):
            guidance, T = self._guidance(stage), len(g.alpha_bar)
            asked = evaluations(self.spec.sampler, g.alpha_bar, self.spec.num_steps)
            calls += sum(1 + guidance.acts(t, T) for t in asked)
        return calls

    def frames(
        self, labels: Sequence[int], indices: Sequence[int], low: torch.Tensor | None = None
    ) -> Iterator[Step]:
        """Yields the noise as step 0, then one Step per sampling step. Steps are numbered over all
        stages, up to `total`. Image k depends only on the seed, labels[k], indices[k] and the
        settings.

        `low` (N, C, low_size, low_size) in [-1, 1] is the input if the first model is a
        super-resolution model.
        """
        done = 0
        for stage in range(len(self.models)):
            step = None
            for step in self._stage(stage, labels, indices, low):
                if step.index or not stage:
                    yield dataclasses.replace(
                        step, index=done + step.index, total=self.total, stage=stage
                    )
            assert step is not None
            low, done = step.x0.clamp(-1, 1), done + self.spec.num_steps

    def images(
        self, labels: Sequence[int], indices: Sequence[int], low: torch.Tensor | None = None
    ) -> np.ndarray:
        """The finished images, uint8 (N, H, W, C)."""
        *_, last = self.frames(labels, indices, low)
        return to_uint8(last.x)

    def pictures(
        self, labels: Sequence[int], indices: Sequence[int], steps: Collection[int]
    ) -> Iterator[Picture | None]:
        """Yields one item per step: a Picture for the steps in `steps`, None for the others. At
        most batch_size images are computed at once."""
        size = self.spec.batch_size
        parts = [slice(i, i + size) for i in range(0, len(labels), size)]
        for at_once in zip(*(self.frames(labels[p], indices[p]) for p in parts), strict=True):
            s: Step = at_once[0]
            if s.index in steps:
                x, x0 = (
                    np.concatenate([to_uint8(getattr(part, name)) for part in at_once])
                    for name in ("x", "x0")
                )
                yield Picture(s.index, s.total, s.t, s.stage, x, x0)
            else:
                yield None

    def _guidance(self, stage: int) -> Guidance:
        spec = self.spec
        weight = guidance_weight(spec, self.models[stage].spec, stage)
        return Guidance(
            weight, spec.guidance_t_min, spec.guidance_t_max, spec.clip, spec.clip_percentile
        )

    def _stage(
        self, stage: int, labels: Sequence[int], indices: Sequence[int], low: torch.Tensor | None
    ) -> Iterator[Step]:
        g, spec = self.models[stage], self.spec
        shape = (g.channels, g.image_size, g.image_size)
        generator = NOISE_GENERATORS[spec.noise_generator]
        noise = generator(spec.seed, labels, indices, shape, stage, g.device)
        x = noise()
        y = torch.tensor(list(labels), dtype=torch.int64, device=g.device)
        guide = self.guide.model if self.guide and not stage else None
        denoise = denoiser(g.model, y, self._guidance(stage), guide, self._low(g, low, noise))
        yield Step(0, spec.num_steps, len(g.alpha_bar) - 1, x, torch.zeros_like(x))
        reverse = Reverse(spec.eta, spec.variance, spec.logvar_coefficient)
        sample = find_sampler(spec.sampler)
        yield from sample(denoise, x, g.alpha_bar, spec.num_steps, noise, reverse)

    def _low(self, g: TrainedGenerator, low: torch.Tensor | None, noise: Noise) -> Low | None:
        """The input of a super-resolution model with its noise (Ho et al. 2022, section 4.2).
        Raises TaskError if there is no low-resolution image."""
        if not g.spec.low_size:
            return None
        if low is None:
            raise TaskError(
                "This is a super-resolution model: it needs images of"
                f" {g.spec.low_size}x{g.spec.low_size} pixels to start from."
            )
        t = noise_level(self.spec.upsample_noise, len(g.alpha_bar))
        image = upsample(low.to(g.device), g.image_size)
        return Low(diffuse(image, noise().to(image), float(g.alpha_bar[t])), t)


Load = Callable[[Path, torch.device, str], TrainedGenerator]


def load_pipeline(
    find: Callable[[str], Path],
    spec: SynthesizeSpec,
    device: torch.device,
    load: Load = load_weights,
    formats: Sequence[str] = (),
) -> Pipeline:
    """Loads the models of a spec. `find` maps a run id to the run's folder. `formats` are the
    number formats that an earlier attempt of the same run chose for precision `auto`; see
    `Pipeline.formats`. Raises TaskError with one sentence if a checkpoint cannot be read or the
    models do not fit together."""
    base = load(find(spec.source), device, spec.checkpoint)
    guide = load(find(spec.guide), device, spec.guide_checkpoint) if spec.guide else None
    stages = [load(find(run), device, "") for run in spec.upsample]
    try:
        check_sampling(spec, base.spec, base.classes)
        if guide:
            check_guide(base.spec, base.image_size, guide.spec, guide.image_size)
        named = [(run, g.spec, g.image_size) for run, g in zip(spec.upsample, stages, strict=True)]
        check_cascade(spec, base.spec, base.image_size, named)
    except SpecError as error:
        raise TaskError(str(error)) from None

    pipeline = Pipeline(base, spec, guide=guide, stages=stages)
    if spec.precision == "auto":
        pipeline.formats = formats or [fastest(g) for g in pipeline.networks]
    return pipeline


def spread(first: int, last: int, count: int) -> list[int]:
    """At most `count` different integers, evenly spaced from first to last; both are included if
    count is 2 or more."""
    return sorted({round(v) for v in np.linspace(first, last, count)}) if count > 1 else [last]
