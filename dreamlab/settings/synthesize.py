"""Spec of a synthetic set: which generator, how it is guided, how it is sampled."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dreamlab.settings.base import Spec, SpecError
from dreamlab.settings.names import ClipName, DeviceName, PrecisionName, SamplerName, VarianceName
from dreamlab.settings.real_data import DEVICE_HELP
from dreamlab.settings.setting import setting
from dreamlab.settings.train import MACHINE, STAGES

GUIDANCE, LABELS, SAMPLER = "Guidance", "Pseudo-labels", "Sampler"
KEPT_CHECKPOINT = re.compile(r"step-\d{6,}")
"""Names of checkpoints that were kept on the way."""


class SynthesizeSpec(Spec):
    kind: ClassVar[str] = "synthesize"
    summary: ClassVar[str] = "Sample a labelled image set from a trained generator."

    source: str = setting(
        ...,
        "Run of the generator to sample from.",
        label="Generator",
        flag="from",
        run_kind="train",
        min_length=1,
    )
    per_class: int = setting(
        100, "Images per class.", label="Images per class", ge=1, le=100_000, log=True
    )
    classes: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (), "Class numbers to sample, as a list; empty samples all."
    )
    guidance_weight: float = setting(
        1.0,
        "Guidance weight w (scale s = 1 + w): 0 is off; more gives cleaner and less varied images.",
        label="Guidance weight w",
        ge=0,
        le=20,
        step=0.1,
    )
    num_steps: int = setting(
        20,
        "Sampler steps, at most the T of the generator.",
        label="Sampler steps",
        ge=1,
        le=4000,
        log=True,
    )
    sampler: SamplerName = setting(
        "dpmpp_2m",
        "DPM-Solver++(2M), DDIM, ancestral DDPM, or Heun on the sigma grid (two network calls a"
        " step).",
    )
    seed: int = setting(
        0, "Image i of class c depends on the seed, c and i alone.", ge=0, le=2**31 - 1, log=True
    )

    guidance_t_min: float = setting(
        0.0,
        "Noise level t/T below which guidance is off (Kynkaanniemi et al. 2024).",
        label="Guidance from t/T",
        ge=0,
        le=1,
        step=0.01,
        section=GUIDANCE,
        advanced=True,
    )
    guidance_t_max: float = setting(
        1.0,
        "Noise level t/T above which guidance is off.",
        label="Guidance up to t/T",
        ge=0,
        le=1,
        step=0.01,
        section=GUIDANCE,
        advanced=True,
    )
    guide: str = setting(
        "",
        "Run of a weaker model of the same data that guides instead of the unconditional one"
        " (autoguidance, Karras et al. 2024).",
        label="Autoguidance by",
        run_kind="train",
        section=GUIDANCE,
        advanced=True,
    )
    guide_checkpoint: str = setting(
        "",
        "Kept checkpoint of the guiding run, such as step-000400; empty takes its last.",
        section=GUIDANCE,
        advanced=True,
    )
    clip: ClipName = setting(
        "static",
        "What keeps the predicted x0 within range: static clips to [-1, 1]; dynamic scales by a"
        " percentile of its pixels (Saharia et al. 2022); none.",
        label="Clipping of x0",
        section=GUIDANCE,
        advanced=True,
    )
    clip_percentile: float = setting(
        0.995,
        "Share of the pixels that dynamic clipping leaves in range.",
        ge=0.5,
        le=1,
        step=0.005,
        section=GUIDANCE,
        advanced=True,
    )

    labeller: Literal["none", "own", "all"] = setting(
        "none",
        "Who labels the images of a generator without classes: nobody; a classifier trained on the"
        " generator's own real images; or one trained on the whole training split (as study S3"
        " did). Images are drawn until every class has its number.",
        label="Pseudo-labels",
        section=LABELS,
        advanced=True,
    )
    label_confidence: float = setting(
        0.9,
        "Least probability of the label that the labeller gives; images below it are thrown away.",
        label="Label confidence",
        ge=0,
        le=0.999,
        step=0.01,
        section=LABELS,
        advanced=True,
    )

    eta: float = setting(
        0.0,
        "Share of fresh noise in every DDIM step: 0 is deterministic, 1 is ancestral (Song et al."
        " 2021).",
        ge=0,
        le=1,
        step=0.05,
        section=SAMPLER,
        advanced=True,
    )
    variance: VarianceName = setting(
        "posterior",
        "Reverse variance of DDPM: posterior, beta, interpolated between the two, or learned where"
        " the generator has it.",
        label="Reverse variance",
        section=SAMPLER,
        advanced=True,
    )
    logvar_coefficient: float = setting(
        0.5,
        "Interpolated variance: log variance = v log beta + (1 - v) log posterior variance (Nichol"
        " & Dhariwal 2021).",
        label="Log-variance coefficient v",
        ge=0,
        le=1,
        step=0.05,
        section=SAMPLER,
        advanced=True,
    )

    upsample: tuple[str, ...] = setting(
        (),
        "Runs of super-resolution models that take over from the generator, in order (a cascade).",
        label="Then upsample by",
        run_kind="train",
        section=STAGES,
        advanced=True,
        max_length=3,
    )
    upsample_noise: float = setting(
        0.1,
        "Noise added to the image that a super-resolution model starts from, as a share of T (Ho et"
        " al. 2022).",
        label="Conditioning noise",
        ge=0,
        le=1,
        step=0.01,
        section=STAGES,
        advanced=True,
    )
    checkpoint: str = setting(
        "",
        "Kept checkpoint of the generator, such as step-000400; empty takes its last.",
        section=STAGES,
        advanced=True,
    )

    trajectory: int = setting(
        0,
        "Steps of the denoising kept as pictures, x_t and predicted x0, for the first images of"
        " every class; 0 keeps none.",
        unit="frames",
        ge=0,
        le=100,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    batch_size: int = setting(
        250,
        "Images sampled at once.",
        unit="images",
        ge=1,
        le=8192,
        log=True,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    precision: PrecisionName = setting(
        "auto",
        "Arithmetic; auto takes bf16 only where it is faster here and an image does not depend on"
        " its batch.",
        section=MACHINE,
        advanced=True,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, section=MACHINE, advanced=True, affects_result=False
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
            if value and not KEPT_CHECKPOINT.fullmatch(value):
                raise SpecError(
                    f"{option.replace('-', ' ').capitalize()} (--{option}): {value!r} cannot be"
                    " used; it must be the name of a kept checkpoint such as step-000400, or"
                    " empty.",
                    name,
                )
        if self.guide_checkpoint and not self.guide:
            raise SpecError(
                "Guide checkpoint (--guide-checkpoint): there is no guiding run; name one with"
                " --guide.",
                "guide_checkpoint",
            )
        return self
