"""Specs of the diffusion side: train a generator, synthesize a labelled image set from it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from dreamlab.spec.base import (
    DatasetName,
    DeviceName,
    OptimizerName,
    PrecisionName,
    SamplerName,
    ScheduleName,
    Spec,
    SpecError,
    TargetName,
    WeightingName,
    knob,
)

DATA_HELP = (
    "Data set by name; mnist5k and digits need no download, mnist and cifar10 are read from a folder of your own."
)
DATA_DIR_HELP = "Folder or .npz file that already holds the data set (only for mnist and cifar10)."
PER_CLASS_HELP = "Real images per class that may be used, drawn from the training split; 0 uses all of them."
SUBSET_HELP = "Which real images are drawn when fewer than all are used; the same number draws the same images."
DEVICE_HELP = "Where to compute; auto takes a CUDA device where there is one."


class TrainSpec(Spec):
    kind: ClassVar[str] = "train"
    summary: ClassVar[str] = "Train a class-conditional DDPM with label dropout."

    dataset: DatasetName = knob("mnist5k", DATA_HELP, label="Data")
    data_dir: str = knob("", DATA_DIR_HELP, label="Data folder", advanced=True)
    seconds: float = knob(
        60.0, "Time budget of training; the learning-rate schedule follows it. Ignored where steps are given.",
        label="Time", unit="s", ge=1, le=604_800, log=True,
    )  # fmt: skip
    steps: int = knob(
        0, "Optimiser steps instead of a time budget; 0 uses the time budget.", ge=0, le=10_000_000, log=True,
        advanced=True,
    )  # fmt: skip
    num_train_timesteps: int = knob(
        1000, "Noise steps T that the model is trained with.", label="Noise steps T", ge=10, le=4000
    )
    schedule: ScheduleName = knob(
        "cosine", "Noise schedule: cosine (Nichol & Dhariwal 2021) or linear (Ho et al. 2020)."
    )
    target: TargetName = knob(
        "x0", "What the network predicts: the clean image x0, the noise eps, or v (Salimans & Ho 2022)."
    )
    weighting: WeightingName = knob(
        "sqrt_snr", "Weight of the loss over noise levels: the x0 error by sqrt(SNR) clipped to 0.1 to 3, or simple.",
        label="Loss weighting", advanced=True,
    )  # fmt: skip
    label_dropout: float = knob(
        0.1, "Probability of training on the null label, which guidance needs.", ge=0, le=0.9, step=0.01
    )
    images_per_class: int = knob(0, PER_CLASS_HELP, label="Real images per class", ge=0, le=100_000, log=True)
    subset_seed: int = knob(0, SUBSET_HELP, ge=0, le=2**31 - 1, log=True, advanced=True)
    batch_size: int = knob(64, "Images per optimiser step.", ge=1, le=8192, log=True, advanced=True)
    base_width: int = knob(32, "Channels of the first level of the U-Net.", ge=8, le=1024, step=8, advanced=True)
    multipliers: tuple[Annotated[int, Field(ge=1, le=16)], ...] = knob(
        (1, 2), "Channel multipliers of the U-Net, one per level, as a list.", min_length=1, max_length=6, advanced=True
    )
    blocks_per_level: int = knob(1, "Residual blocks per level of the U-Net.", ge=1, le=8, advanced=True)
    stem_patch: int = knob(
        2, "Side of the pixel patches that the first layer folds into channels (1, 2 or 4).", ge=1, le=4, advanced=True
    )
    optimizer: OptimizerName = knob(
        "muon", "Muon for matrices and AdamW for the rest, or AdamW for all.", advanced=True
    )
    learning_rate: float = knob(2e-3, "Peak learning rate of AdamW.", gt=0, le=1, log=True, advanced=True)
    muon_learning_rate: float = knob(0.015, "Peak learning rate of Muon.", gt=0, le=1, log=True, advanced=True)
    ema_horizon: float = knob(
        0.06, "Averaging horizon of the EMA weights as a share of the run.", label="EMA horizon", ge=0.0, le=1.0, step=0.01,
        advanced=True,
    )  # fmt: skip
    seed: int = knob(0, "Seed of initial weights, noise and batches.", ge=0, le=2**31 - 1, log=True, advanced=True)
    precision: PrecisionName = knob("auto", "Arithmetic; auto probes whether bf16 pays on this machine.", advanced=True)
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)
    preview_every: float = knob(
        5.0, "Time between two preview grids.", unit="s", ge=1, le=3600, log=True, advanced=True, affects_result=False
    )
    checkpoint_every: float = knob(
        30.0, "Time between two checkpoints; the first one is written within 5 s.", unit="s", ge=1, le=3600, log=True,
        advanced=True, affects_result=False,
    )  # fmt: skip

    @model_validator(mode="after")
    def _patch_is_a_power_of_two(self) -> TrainSpec:
        if self.stem_patch == 3:
            raise SpecError("Stem patch (--stem-patch): 3 cannot be used; it must be 1, 2 or 4.", "stem_patch")
        return self


class SynthesizeSpec(Spec):
    kind: ClassVar[str] = "synthesize"
    summary: ClassVar[str] = "Sample a labelled image set from a trained generator."

    source: str = knob(
        ..., "Run of the generator to sample from.", label="Generator", flag="from", run_kind="train", min_length=1
    )
    per_class: int = knob(100, "Images per class.", label="Images per class", ge=1, le=100_000, log=True)
    classes: tuple[Annotated[int, Field(ge=0)], ...] = knob(
        (), "Class numbers to sample, as a list; empty samples all."
    )
    guidance_weight: float = knob(
        1.0, "Guidance weight w (scale s = 1 + w): 0 is off; more gives cleaner and less varied images.",
        label="Guidance weight w", ge=0, le=20, step=0.1,
    )  # fmt: skip
    num_steps: int = knob(
        20, "Sampler steps, at most the T of the generator.", label="Sampler steps", ge=1, le=4000, log=True
    )
    sampler: SamplerName = knob("dpmpp_2m", "DPM-Solver++(2M), DDIM (deterministic) or ancestral DDPM.")
    seed: int = knob(0, "Image i of class c depends on the seed, c and i alone.", ge=0, le=2**31 - 1, log=True)
    batch_size: int = knob(250, "Images sampled at once.", ge=1, le=8192, log=True, advanced=True, affects_result=False)
    device: DeviceName = knob("auto", DEVICE_HELP, advanced=True, affects_result=False)
