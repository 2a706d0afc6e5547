"""Sampling settings that several kinds of run have, defined once."""

from __future__ import annotations

from typing import Any

from dreamlab.settings.names import SamplerName
from dreamlab.settings.setting import setting

LEAST_STEPS: dict[SamplerName, int] = {"heun": 8}
"""Fewest steps of a sampler, if more than 1. With fewer of Heun's, the samples of Gaussian data
have more than 1.5 times its spread."""


def guidance_weight_setting(default: float, help: str, more: str = "") -> Any:
    """A field for the guidance weight w, 0 to 20. `more` is appended to its detail text."""
    detail = "The guidance scale is s = 1 + w." + (f" {more}" if more else "")
    return setting(default, help, detail=detail, label="Guidance weight w", ge=0, le=20, step=0.1)


def num_steps_setting(help: str, detail: str = "", section: str = "") -> Any:
    """A field for the number of sampler steps, 1 to 4000."""
    return setting(
        20, help, detail=detail, label="Sampler steps", ge=1, le=4000, log=True, section=section
    )
