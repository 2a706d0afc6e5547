"""Spec of a training: the data, the noise, the network, the optimiser and the stages of a
generator."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from dreamlab.settings.base import SpecError
from dreamlab.settings.names import (
    ActivationName,
    DeviceName,
    LearningRateName,
    OptimizerName,
    PartName,
    PrecisionName,
    PresetName,
    ScheduleName,
    TargetName,
    WeightingName,
    WiringName,
)
from dreamlab.settings.presets import PRESETS
from dreamlab.settings.real_data import DATA, DEVICE_HELP, RealData
from dreamlab.settings.setting import setting

NOISE, NETWORK, TRAINING, STAGES, MACHINE = "Noise", "Network", "Training", "Stages", "Machine"


class TrainSpec(RealData):
    kind: ClassVar[str] = "train"
    summary: ClassVar[str] = (
        "Train a diffusion model, by default a class-conditional DDPM with label dropout."
    )

    preset: PresetName = setting(
        "small",
        "Settings to start from: networks for a CPU (tiny, small, medium) or those of studies S0,"
        " S2 and S4; what is given beside it wins.",
        affects_result=False,
    )
    seconds: float = setting(
        60.0,
        "Time budget of training; the learning-rate schedule follows it. Ignored where steps or"
        " epochs are given.",
        label="Time",
        unit="s",
        ge=1,
        le=604_800,
        log=True,
    )
    num_train_timesteps: int = setting(
        1000, "Noise steps T that the model is trained with.", label="Noise steps T", ge=10, le=4000
    )
    schedule: ScheduleName = setting(
        "cosine",
        "Noise schedule: cosine (Nichol & Dhariwal 2021); linear, beta 1e-4 to 0.02 whatever T is"
        " (Ho et al. 2020); linear_scaled, beta scaled to the terminal SNR that linear has at T ="
        " 1000; quadratic; sigmoid.",
    )
    target: TargetName = setting(
        "x0",
        "What the network predicts: the clean image x0, the noise eps, or v (Salimans & Ho 2022).",
    )
    label_dropout: float = setting(
        0.1,
        "Probability of training on the null label, which guidance needs.",
        ge=0,
        le=0.9,
        step=0.01,
    )
    image_size: int = setting(
        0,
        "Side to which images are resized before anything else; 0 keeps the data set's own.",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
        section=DATA,
        advanced=True,
    )
    flip: bool = setting(
        False,
        "Mirror half of the images left to right; wrong for digits.",
        label="Horizontal flip",
        section=DATA,
        advanced=True,
    )

    zero_terminal_snr: bool = setting(
        False,
        "Rescale the schedule so that x_T is pure noise (Lin et al. 2023); not with the eps"
        " target.",
        label="Zero terminal SNR",
        section=NOISE,
        advanced=True,
    )
    weighting: WeightingName = setting(
        "sqrt_snr",
        "Weight of the loss over noise levels: the x0 error by sqrt(SNR) clipped to 0.1 to 3;"
        " simple, the error of the target (Ho et al. 2020); min_snr, the x0 error by min(SNR, 5)"
        " (Hang et al. 2023).",
        label="Loss weighting",
        section=NOISE,
        advanced=True,
    )
    learn_variance: bool = setting(
        False,
        "Learn the reverse variance with the hybrid loss (Nichol & Dhariwal 2021).",
        section=NOISE,
        advanced=True,
    )

    conditional: bool = setting(
        True,
        "Learn one distribution per class; off learns a single one without labels.",
        section=NETWORK,
        advanced=True,
    )
    wiring: WiringName = setting(
        "compact",
        "compact: layer norms, scale and shift by the condition, a skip per block, made for speed;"
        " ddpm: group norms, the condition added, a skip per feature map, attention in the middle"
        " (Ho et al. 2020).",
        section=NETWORK,
        advanced=True,
    )
    base_width: int = setting(
        32,
        "Channels of the first level of the U-Net.",
        unit="channels",
        ge=8,
        le=1024,
        step=8,
        section=NETWORK,
        advanced=True,
    )
    multipliers: tuple[Annotated[int, Field(ge=1, le=16)], ...] = setting(
        (1, 2),
        "Channel multipliers of the U-Net, one per level, as a list.",
        min_length=1,
        max_length=8,
        section=NETWORK,
        advanced=True,
    )
    blocks_per_level: int = setting(
        1, "Residual blocks per level of the U-Net.", ge=1, le=8, section=NETWORK, advanced=True
    )
    stem_patch: int = setting(
        2,
        "Side of the pixel patches that the first layer folds into channels (1, 2 or 4).",
        unit="pixels",
        ge=1,
        le=4,
        section=NETWORK,
        advanced=True,
    )
    attention: tuple[Annotated[int, Field(ge=1, le=512)], ...] = setting(
        (),
        "Sides of the feature maps that get self-attention, as a list such as 16,8.",
        label="Attention resolutions",
        max_length=8,
        section=NETWORK,
        advanced=True,
    )
    heads: int = setting(
        4,
        "Heads of every attention layer.",
        label="Attention heads",
        ge=1,
        le=64,
        section=NETWORK,
        advanced=True,
    )
    dropout: float = setting(
        0.0,
        "Dropout inside the residual blocks.",
        ge=0,
        le=0.9,
        step=0.01,
        section=NETWORK,
        advanced=True,
    )
    time_activation: ActivationName = setting(
        "silu",
        "Activation between the two linear layers of the time embedding.",
        section=NETWORK,
        advanced=True,
    )

    steps: int = setting(
        0,
        "Optimiser steps instead of a time budget; 0 uses the time budget.",
        ge=0,
        le=10_000_000,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    epochs: float = setting(
        0.0,
        "Passes over the images instead of a time budget; 0 uses the time budget.",
        ge=0,
        le=1_000_000,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    batch_size: int = setting(
        64,
        "Images per optimiser step.",
        unit="images",
        ge=1,
        le=8192,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    accumulate: int = setting(
        1,
        "Parts in which a batch is computed one after another, to save memory; the gradient is that"
        " of the whole batch.",
        label="Gradient accumulation",
        unit="parts",
        ge=1,
        le=1024,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    optimizer: OptimizerName = setting(
        "muon",
        "Muon for matrices and AdamW for the rest, or one of AdamW, Adam, Adafactor and SGD"
        " (momentum 0.9) for all.",
        section=TRAINING,
        advanced=True,
    )
    learning_rate: float = setting(
        2e-3,
        "Peak learning rate; of what Muon does not take where it is in use.",
        gt=0,
        le=10,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    muon_learning_rate: float = setting(
        0.015, "Peak learning rate of Muon.", gt=0, le=1, log=True, section=TRAINING, advanced=True
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay: decoupled for AdamW and Muon, added to the gradient for Adam and SGD.",
        ge=0,
        le=1,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    learning_rate_schedule: LearningRateName = setting(
        "cosine",
        "Course of the learning rate after warm-up: a cosine to nearly zero, or constant.",
        section=TRAINING,
        advanced=True,
    )
    warmup: float = setting(
        0.05,
        "Share of the run in which the learning rate rises from zero.",
        label="Warm-up",
        ge=0,
        le=0.9,
        step=0.01,
        section=TRAINING,
        advanced=True,
    )
    grad_clip: float = setting(
        0.0,
        "Largest norm of the whole gradient; 0 does not clip.",
        label="Gradient clipping",
        ge=0,
        le=1000,
        log=True,
        section=TRAINING,
        advanced=True,
    )
    ema_horizon: float = setting(
        0.06,
        "Averaging horizon of the EMA weights as a share of the run; 0 averages nothing.",
        label="EMA horizon",
        ge=0.0,
        le=1.0,
        step=0.01,
        section=TRAINING,
        advanced=True,
    )
    seed: int = setting(
        0,
        "Seed of initial weights, noise and batches.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=TRAINING,
        advanced=True,
    )

    init_from: str = setting(
        "",
        "Run of a finished generator to start from (fine-tuning); its network and noise settings"
        " are taken over.",
        label="Fine-tune",
        run_kind="train",
        section=STAGES,
        advanced=True,
    )
    freeze: tuple[PartName, ...] = setting(
        (),
        "Parts of the network that are not trained, as a list; for fine-tuning.",
        label="Frozen parts",
        section=STAGES,
        advanced=True,
    )
    low_size: int = setting(
        0,
        "Side of the images that a super-resolution model starts from (the second stage of a"
        " cascade); 0 trains a base model.",
        label="Super-resolution from",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
        section=STAGES,
        advanced=True,
    )
    low_noise: float = setting(
        0.3,
        "Most noise added to the low-resolution image while a super-resolution model trains, as a"
        " share of T.",
        label="Conditioning noise",
        ge=0,
        le=1,
        step=0.01,
        section=STAGES,
        advanced=True,
    )

    precision: PrecisionName = setting(
        "auto",
        "Arithmetic; auto probes whether bf16 pays on this machine.",
        section=MACHINE,
        advanced=True,
    )
    compile: bool = setting(
        False,
        "Compile the network first (torch.compile): minutes of waiting, then faster steps; for long"
        " runs on a GPU.",
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, section=MACHINE, advanced=True, affects_result=False
    )
    devices: int = setting(
        1,
        "Devices that share every batch (data-parallel): GPUs, or processes on a CPU.",
        ge=1,
        le=64,
        log=True,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    preview_every: float = setting(
        5.0,
        "Time between two preview grids.",
        unit="s",
        ge=1,
        le=3600,
        log=True,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    checkpoint_every: float = setting(
        30.0,
        "Time between two checkpoints; the first one is written within 5 s.",
        unit="s",
        ge=1,
        le=3600,
        log=True,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )
    snapshots: int = setting(
        0,
        "Checkpoints kept on the way, at even shares of the run, for autoguidance and for looking"
        " back.",
        ge=0,
        le=20,
        section=MACHINE,
        advanced=True,
        affects_result=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        return (
            {**PRESETS.get(values.get("preset", ""), {}), **values}
            if isinstance(values, dict)
            else values
        )

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSpec:
        if self.stem_patch == 3:
            raise SpecError(
                "Stem patch (--stem-patch): 3 cannot be used; it must be 1, 2 or 4.", "stem_patch"
            )
        if self.steps and self.epochs:
            raise SpecError(
                f"Epochs (--epochs): {self.epochs:g} cannot be used beside {self.steps} steps; give"
                " one of the two.",
                "epochs",
            )
        if self.zero_terminal_snr and self.target == "eps":
            raise SpecError(
                "Target (--target): eps cannot be used with zero terminal SNR, where it says"
                " nothing of the image; use v or x0.",
                "target",
            )
        if self.accumulate > self.batch_size:
            raise SpecError(
                f"Gradient accumulation (--accumulate): {self.accumulate} parts of"
                f" {self.batch_size} images cannot be made; it must be 1 to {self.batch_size}.",
                "accumulate",
            )
        if self.devices > self.batch_size:
            raise SpecError(
                f"Devices (--devices): {self.devices} cannot share a batch of {self.batch_size}"
                f" images; use at most {self.batch_size}.",
                "devices",
            )
        if self.freeze and not self.init_from:
            raise SpecError(
                "Frozen parts (--freeze): only the parts of a trained network can be frozen; name"
                " its run with --init-from.",
                "freeze",
            )
        if set(self.freeze) == {"stem", "condition", "down", "middle", "up", "head"}:
            raise SpecError(
                "Frozen parts (--freeze): all of them leave nothing to train; leave one out.",
                "freeze",
            )
        return self

    def baseline(self) -> dict[str, Any]:
        return {**super().baseline(), **PRESETS[self.preset]}


INHERITED = (
    "conditional",
    "wiring",
    "base_width",
    "multipliers",
    "blocks_per_level",
    "stem_patch",
    "attention",
    "heads",
    "time_activation",
    "learn_variance",
    "num_train_timesteps",
    "schedule",
    "zero_terminal_snr",
    "target",
    "low_size",
)
"""What a fine-tuned model takes over from the run that it starts from."""
