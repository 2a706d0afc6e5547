"""Presets of a training. The comments name the values that a study does not state and that are
assumed (docs/studies has more)."""

from __future__ import annotations

from typing import Any

# the DDPM of Ho et al. 2020 with Adam, which the presets of the studies start from; its learning
# rate and Adam's own beta2 stand for a study that states none
_DDPM: dict[str, Any] = {
    "wiring": "ddpm",
    "stem_patch": 1,
    "blocks_per_level": 2,
    "target": "eps",
    "weighting": "simple",
    "schedule": "linear",
    "optimizer": "adam",
    "learning_rate": 2e-4,
    "learning_rate_schedule": "constant",
    "beta2": 0.999,
}
# S2, CIFAR-10: T 1000, width 64 and batch 128 are assumed; its cosine trials differ in the
# multipliers
_S2: dict[str, Any] = {
    **_DDPM,
    "image_size": 32,
    "base_width": 64,
    "batch_size": 128,
    "attention": (16,),
}

PRESETS: dict[str, dict[str, Any]] = {
    "small": {},
    "tiny": {"base_width": 16},
    "medium": {"base_width": 56},
    # S0: attention at 16 and 8, the linear schedule and batch 64 are assumed
    "s0": {
        **_DDPM,
        "image_size": 32,
        "num_train_timesteps": 400,
        "base_width": 64,
        "multipliers": (1, 2, 4, 8),
        "attention": (16, 8),
        "time_activation": "gelu",
        "label_dropout": 0.1,
    },
    "s2": {**_S2, "multipliers": (1, 2, 3, 4)},
    "s2-1222": {**_S2, "multipliers": (1, 2, 2, 2)},
    "s2-112244": {**_S2, "multipliers": (1, 1, 2, 2, 4, 4)},
    # S4: the network of the diffusers tutorial that it used (113,673,219 parameters), attention at
    # 8x8 with heads of 8 channels; neither names averaged weights. The warm-up is the tutorial's:
    # 500 of the 22,400 steps on flowers
    "s4": {
        **_DDPM,
        "image_size": 128,
        "base_width": 128,
        "multipliers": (1, 1, 2, 2, 4, 4),
        "attention": (8,),
        "heads": 64,
        "conditional": False,
        "label_dropout": 0.0,
        "flip": True,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "learning_rate_schedule": "cosine",
        "warmup": 0.022,
        "ema_horizon": 0.0,
    },
}
"""Preset -> the settings that differ from the defaults."""
