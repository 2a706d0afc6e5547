"""Settings of the optimisation of a generator: its budget, optimiser and averaged weights."""

from __future__ import annotations

from typing import Literal

from dreamlab.settings.diffusion_model import DiffusionModel
from dreamlab.settings.names import LearningRateName, OptimizerName
from dreamlab.settings.setting import setting

TRAINING = "Training"


class Optimisation(DiffusionModel):
    """Settings of the optimisation of a generator. `TrainSpec` adds the run that it starts from,
    the machine, and what is seen and kept on the way."""

    epochs: float = setting(
        0.0,
        "Passes over the images instead of steps.",
        detail="Used only if steps is 0.",
        ge=0,
        le=1_000_000,
        log=True,
        section=TRAINING,
    )
    seconds: float = setting(
        60.0,
        "Time budget instead of steps.",
        detail="Used only if steps and epochs are 0. How good the generator becomes then depends on"
        " the machine and on what else it does.",
        label="Time",
        unit="s",
        ge=1,
        le=604_800,
        log=True,
        section=TRAINING,
    )
    batch_size: int = setting(
        64, "Images per optimiser step.", unit="images", ge=1, le=8192, log=True, section=TRAINING
    )
    accumulate: int = setting(
        1,
        "Parts into which each batch is split.",
        detail="The parts are computed one after another, which saves memory. The gradient is that"
        " of the whole batch.",
        label="Gradient accumulation",
        unit="parts",
        ge=1,
        le=1024,
        log=True,
        section=TRAINING,
    )
    optimizer: OptimizerName = setting(
        "muon",
        "Optimiser of the network.",
        detail="muon: Muon for weight matrices and AdamW for the rest. sgd has momentum 0.9.",
        section=TRAINING,
    )
    learning_rate: float = setting(
        2e-3,
        "Peak learning rate.",
        detail="With muon, it applies to the weights that AdamW trains.",
        gt=0,
        le=10,
        log=True,
        section=TRAINING,
    )
    muon_learning_rate: float = setting(
        0.015, "Peak learning rate of Muon.", gt=0, le=1, log=True, section=TRAINING
    )
    beta2: float = setting(
        0.99,
        "Second beta of Adam: memory of squared gradients.",
        detail="Also of AdamW, and of the AdamW that trains beside Muon. Adam's usual value is"
        " 0.999.",
        label="Beta 2",
        ge=0.5,
        lt=1,
        log=True,
        added=0.99,
        section=TRAINING,
    )
    muon_steps: int = setting(
        3,
        "Newton-Schulz steps of Muon.",
        detail="Used only with muon. More steps orthogonalise an update more exactly and take"
        " longer; Jordan et al. 2024 and Liu et al. 2025 take 5.",
        ge=1,
        le=10,
        section=TRAINING,
        added=3,
    )
    weight_decay: float = setting(
        0.0,
        "Strength of weight decay; 0 is off.",
        detail="Decoupled for AdamW and Muon, added to the gradient for Adam and SGD.",
        ge=0,
        le=1,
        log=True,
        section=TRAINING,
    )
    decayed: Literal["weights", "all"] = setting(
        "weights",
        "Which parameters weight decay applies to.",
        detail="weights: those of linear layers and convolutions, not biases, norms and embeddings."
        " all: all of them, as in version 0.1. It matters only with weight decay.",
        label="Decayed parameters",
        section=TRAINING,
        added="all",
    )
    learning_rate_schedule: LearningRateName = setting(
        "cosine",
        "How the learning rate changes after warm-up.",
        detail="cosine: it falls to nearly zero. constant: it stays at its peak.",
        section=TRAINING,
    )
    warmup: float = setting(
        0.05,
        "Share of the training that is warm-up.",
        detail="The learning rate rises from zero to its peak.",
        label="Warm-up",
        ge=0,
        le=0.9,
        step=0.01,
        section=TRAINING,
    )
    grad_clip: float = setting(
        0.0,
        "Largest norm of the gradient; 0 does not clip.",
        detail="The norm is that of the gradient of all weights together.",
        label="Gradient clipping",
        ge=0,
        le=1000,
        log=True,
        section=TRAINING,
    )
    ema_horizon: float = setting(
        0.06,
        "Averaging horizon of the EMA weights; 0 is off.",
        detail="As a share of the steps so far.",
        label="EMA horizon",
        ge=0.0,
        le=1.0,
        step=0.01,
        section=TRAINING,
    )
    seed: int = setting(
        0,
        "Seed of initial weights, noise and batches.",
        ge=0,
        le=2**31 - 1,
        log=True,
        section=TRAINING,
    )
