"""Settings of a synthetic set: which generator, guidance and sampler."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.names import (
    ClipName,
    DeviceName,
    NoiseName,
    PrecisionName,
    SamplerName,
    VarianceName,
)
from dreamlab.settings.real_data import DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.sampling import guidance_weight_setting, num_steps_setting
from dreamlab.settings.setting import setting
from dreamlab.settings.train import MACHINE, STAGES, TrainSpec, can_be_guided

GUIDANCE, LABELS, SAMPLER = "Guidance", "Pseudo-labels", "Sampler"
KEPT_CHECKPOINT = re.compile(r"step-\d{6,}")
"""Pattern of the names of kept checkpoints: `step-` and the number of the training step."""
RAW = "raw"
"""In place of such a name: the last weights as the optimiser left them, not averaged."""
CHECKPOINT_DETAIL = (
    "The name of a kept checkpoint, such as step-000400. raw: the last weights without averaging."
    " Empty: the last ones, averaged."
)


class SynthesizeSpec(Spec):
    """Settings of a synthetic set."""

    kind: ClassVar[str] = "synthesize"
    summary: ClassVar[str] = "Sample a labelled image set from a trained generator."

    source: str = setting(
        ...,
        "Generator to sample from.",
        label="Generator",
        flag="from",
        run_kind="train",
        min_length=1,
    )
    per_class: int = setting(
        100, "Number of images per class.", label="Images per class", ge=1, le=100_000, log=True
    )
    classes: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (), "Class numbers to sample, as a list.", detail="Empty: all classes."
    )
    guidance_weight: float = guidance_weight_setting(
        1.0, "Guidance weight w; 0 is off.", "Higher values give cleaner and less varied images."
    )
    num_steps: int = num_steps_setting(
        "Number of sampler steps.", "At most the T of the generator."
    )
    sampler: SamplerName = setting(
        "dpmpp_2m",
        "Method that turns noise into images.",
        detail="dpmpp_2m: DPM-Solver++(2M). ddim: DDIM. ddpm: ancestral DDPM. heun: Heun's method"
        " on the sigma grid, with two network calls per step.",
    )
    seed: int = setting(
        0,
        "Seed of the noise.",
        detail="With the same settings, image i of class c depends on the seed, c and i alone.",
        ge=0,
        le=2**31 - 1,
        log=True,
    )

    guidance_t_min: float = setting(
        0.0,
        "Noise level t/T below which guidance is off.",
        detail="Kynkaanniemi et al. 2024.",
        label="Guidance from t/T",
        ge=0,
        le=1,
        step=0.01,
        section=GUIDANCE,
    )
    guidance_t_max: float = setting(
        1.0,
        "Noise level t/T above which guidance is off.",
        label="Guidance up to t/T",
        ge=0,
        le=1,
        step=0.01,
        section=GUIDANCE,
    )
    guide: str = setting(
        "",
        "Weaker generator that guides (autoguidance).",
        detail="It was trained on the same data and replaces the unconditional prediction (Karras"
        " et al. 2024).",
        label="Autoguidance by",
        run_kind="train",
        section=GUIDANCE,
    )
    guide_checkpoint: str = setting(
        "", "Checkpoint of the guiding generator.", detail=CHECKPOINT_DETAIL, section=GUIDANCE
    )
    clip: ClipName = setting(
        "static",
        "How the predicted x0 is kept within range.",
        detail="static: clipped to [-1, 1]. dynamic: clipped to a percentile of its pixel values"
        " and divided by it (Saharia et al. 2022). none: left as it is.",
        label="Clipping of x0",
        section=GUIDANCE,
    )
    clip_percentile: float = setting(
        0.995,
        "Share of pixels that dynamic clipping keeps in range.",
        ge=0.5,
        le=1,
        step=0.005,
        section=GUIDANCE,
    )

    labeller: Literal["none", "own", "all"] = setting(
        "none",
        "Classifier that labels the images (pseudo-labels).",
        detail="For generators without classes. own: a classifier trained on the generator's own"
        " real images. all: one trained on the whole training split, as in study S3. Images"
        " are drawn until every class has enough.",
        label="Pseudo-labels",
        section=LABELS,
    )
    label_confidence: float = setting(
        0.9,
        "Lowest probability of a label that is kept.",
        detail="Images whose label is less certain are discarded.",
        label="Label confidence",
        ge=0,
        le=0.999,
        step=0.01,
        section=LABELS,
    )

    eta: float = setting(
        0.0,
        "Share of fresh noise in every DDIM step.",
        detail="0 is deterministic, 1 is ancestral sampling (Song et al. 2021).",
        ge=0,
        le=1,
        step=0.05,
        section=SAMPLER,
    )
    variance: VarianceName = setting(
        "posterior",
        "Variance of the reverse process in DDPM sampling.",
        detail="posterior: that of the posterior of the forward process. beta: beta_t."
        " interpolated: between these two. learned: predicted by the network, if it was trained to"
        " do so.",
        label="Reverse variance",
        section=SAMPLER,
    )
    logvar_coefficient: float = setting(
        0.5,
        "Share v of log beta in the interpolated variance.",
        detail="log variance = v log beta + (1 - v) log posterior variance (Nichol & Dhariwal"
        " 2021).",
        label="Log-variance coefficient v",
        ge=0,
        le=1,
        step=0.05,
        section=SAMPLER,
    )

    upsample: tuple[str, ...] = setting(
        (),
        "Super-resolution models to apply, in this order.",
        detail="Each enlarges the images of the one before (a cascade).",
        label="Then upsample by",
        run_kind="train",
        section=STAGES,
        max_length=3,
    )
    upsample_noise: float = setting(
        0.1,
        "Noise added to the input of a super-resolution model.",
        detail="As a share of T (Ho et al. 2022).",
        label="Conditioning noise",
        ge=0,
        le=1,
        step=0.01,
        section=STAGES,
    )
    checkpoint: str = setting(
        "", "Checkpoint of the generator.", detail=CHECKPOINT_DETAIL, section=STAGES
    )

    trajectory: int = setting(
        0,
        "Denoising steps kept as pictures; 0 keeps none.",
        detail="x_t and the predicted x0, for the first images of every class.",
        unit="frames",
        ge=0,
        le=100,
        section=MACHINE,
        affects_result=False,
    )
    batch_size: int = setting(
        250,
        "Number of images sampled at once.",
        unit="images",
        ge=1,
        le=8192,
        log=True,
        section=MACHINE,
        affects_result=False,
    )
    precision: PrecisionName = setting(
        "auto",
        "Number format of the computation.",
        detail="auto takes bf16 if it is at least 1.3 times as fast on this machine and if an image"
        " does not depend on the batch that it is sampled in, else fp32. It is measured once per"
        " network and kept for later runs.",
        section=MACHINE,
    )
    noise_generator: NoiseName = setting(
        "philox",
        "Generator of the random numbers.",
        detail="philox computes them where the network is, the same on every device. pcg64 draws"
        " them on the CPU; it repeats sets of version 0.1.",
        section=MACHINE,
        added="pcg64",
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, section=MACHINE, affects_result=False
    )

    @model_validator(mode="after")
    def _fits_together(self) -> SynthesizeSpec:
        if self.guidance_t_min > self.guidance_t_max:
            raise SpecError(
                f"Guidance from t/T (--guidance-t-min): {self.guidance_t_min:g} cannot be used; it"
                f" must be at most {self.guidance_t_max:g}, where guidance ends.",
                "guidance_t_min",
            )
        if self.eta and self.sampler != "ddim":
            raise SpecError(
                f"Eta (--eta): {self.eta:g} cannot be used with {self.sampler}; it belongs to ddim,"
                " elsewhere it must be 0.",
                "eta",
            )
        if self.variance != "posterior" and self.sampler != "ddpm":
            raise SpecError(
                f"Reverse variance (--variance): {self.variance} cannot be used with"
                f" {self.sampler}; it belongs to ddpm, elsewhere it must be posterior.",
                "variance",
            )
        for name in ("checkpoint", "guide_checkpoint"):
            value, option = getattr(self, name), name.replace("_", "-")
            if value not in ("", RAW) and not KEPT_CHECKPOINT.fullmatch(value):
                raise SpecError(
                    f"{option.replace('-', ' ').capitalize()} (--{option}): {value!r} cannot be"
                    f" used; it must be the name of a kept checkpoint such as step-000400, {RAW},"
                    " or empty.",
                    name,
                )
        if self.guide_checkpoint and not self.guide:
            raise SpecError(
                "Guide checkpoint (--guide-checkpoint): there is no guiding run; name one with"
                " --guide.",
                "guide_checkpoint",
            )
        return self


def guidance_weight(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> float:
    """The guidance weight w of one model of a cascade; `stage` 0 is the base model. It is 0 if that
    model cannot be guided. A guide (`spec.guide`) applies to stage 0 only."""
    by_guide = stage == 0 and bool(spec.guide)
    return spec.guidance_weight if by_guide or can_be_guided(trained) else 0.0
