"""Settings that define a generator: its images, noise process, target and network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dreamlab.settings.names import (
    ActivationName,
    PresetName,
    ScheduleName,
    TargetName,
    WeightingName,
    WiringName,
)
from dreamlab.settings.real_data import DATA, RealPart
from dreamlab.settings.setting import setting

NOISE, NETWORK = "Noise", "Network"


class DiffusionModel(RealPart):
    """Settings that define a generator. `Optimisation` and `TrainSpec` add how it is trained. Forms
    show the fields in the order of these files."""

    preset: PresetName = setting(
        "small",
        "Settings to start from.",
        detail="tiny, small and medium are networks for a CPU; the others repeat studies S0, S2"
        " and S4. A setting that is given overrides the preset.",
        affects_result=False,
    )
    steps: int = setting(
        2000,
        "Optimiser steps; 0: epochs or time decide.",
        detail="The learning-rate schedule is spread over them. How good the generator becomes"
        " does not depend on the speed of the machine.",
        ge=0,
        le=10_000_000,
        log=True,
    )
    num_train_timesteps: int = setting(
        1000, "Number of diffusion steps T in training.", label="Noise steps T", ge=10, le=4000
    )
    schedule: ScheduleName = setting(
        "cosine",
        "Noise schedule of the forward process.",
        detail="cosine: Nichol & Dhariwal 2021. linear: beta from 1e-4 to 0.02 for every T (Ho et"
        " al. 2020). linear_scaled: the same line times a factor, so that the last step is as"
        " noisy as that of linear at T = 1000. quadratic and sigmoid: beta from 1e-4 to 0.02"
        " along such a curve.",
    )
    target: TargetName = setting(
        "x0",
        "What the network predicts.",
        detail="x0: the clean image. eps: the noise. v: a combination of the two (Salimans & Ho"
        " 2022).",
    )
    label_dropout: float = setting(
        0.1,
        "How often the class label is dropped in training.",
        detail="The network then also learns to work without a label, which classifier-free"
        " guidance needs.",
        ge=0,
        le=0.9,
        step=0.01,
    )
    image_size: int = setting(
        0,
        "Image size; 0 keeps the size of the data set.",
        detail="Images are resized before anything else.",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
        section=DATA,
    )
    flip: bool = setting(
        False,
        "Mirror half of the images left to right.",
        detail="Not for digits or letters, whose mirror images have another meaning or none.",
        label="Horizontal flip",
        section=DATA,
    )

    zero_terminal_snr: bool = setting(
        False,
        "Rescale the schedule so that x_T is pure noise.",
        detail="Lin et al. 2023. Cannot be used with the eps target.",
        label="Zero terminal SNR",
        section=NOISE,
    )
    weighting: WeightingName = setting(
        "sqrt_snr",
        "How the loss is weighted over noise levels.",
        detail="sqrt_snr: the x0 error times sqrt(SNR), clipped to 0.1 to 3. simple: the plain"
        " error of the target (Ho et al. 2020). min_snr: the x0 error times min(SNR, 5) (Hang"
        " et al. 2023).",
        label="Loss weighting",
        section=NOISE,
    )
    learn_variance: bool = setting(
        False,
        "Learn the variance of the reverse process as well.",
        detail="With the hybrid loss of Nichol & Dhariwal 2021.",
        section=NOISE,
    )

    conditional: bool = setting(
        True,
        "Train with class labels.",
        detail="Off: the generator has no classes, and its images have no labels.",
        section=NETWORK,
    )
    wiring: WiringName = setting(
        "compact",
        "Layout of the U-Net.",
        detail="compact, made for speed: layer norm; the condition scales and shifts the"
        " features; one skip connection per block. ddpm, as in Ho et al. 2020: group norm; the"
        " condition is added; one skip connection per feature map; attention in the middle.",
        label="U-Net layout",
        section=NETWORK,
    )
    base_width: int = setting(
        32,
        "Channels at the first level of the U-Net.",
        unit="channels",
        ge=8,
        le=1024,
        step=8,
        section=NETWORK,
    )
    multipliers: tuple[Annotated[int, Field(ge=1, le=16)], ...] = setting(
        (1, 2),
        "Channel multipliers of the U-Net, one per level.",
        detail="A list such as 1,2,4. Every further level halves the side of the feature maps.",
        min_length=1,
        max_length=8,
        section=NETWORK,
    )
    blocks_per_level: int = setting(
        1, "Residual blocks per level of the U-Net.", ge=1, le=8, section=NETWORK
    )
    stem_patch: int = setting(
        2,
        "Patch size of the first layer: 1, 2 or 4.",
        detail="Patches of this side are folded into channels. Larger patches are faster and"
        " coarser.",
        unit="pixels",
        ge=1,
        le=4,
        section=NETWORK,
    )
    attention: tuple[Annotated[int, Field(ge=1, le=512)], ...] = setting(
        (),
        "Sizes of the feature maps with self-attention.",
        detail="A list such as 16,8.",
        label="Attention resolutions",
        max_length=8,
        section=NETWORK,
    )
    heads: int = setting(
        4,
        "Number of heads per attention layer.",
        label="Attention heads",
        ge=1,
        le=64,
        section=NETWORK,
    )
    dropout: float = setting(
        0.0, "Dropout rate inside the residual blocks.", ge=0, le=0.9, step=0.01, section=NETWORK
    )
    time_activation: ActivationName = setting(
        "silu",
        "Activation function in the time embedding.",
        detail="It is applied between the two linear layers of the embedding.",
        section=NETWORK,
    )
