"""Settings of sampling that several kinds of run have: their bounds and words stand here once."""

from __future__ import annotations

from typing import Any

from dreamlab.settings.setting import setting


def guidance_weight_setting(default: float, help: str, more: str = "") -> Any:
    """A field for the guidance weight w; `more` joins what is said of the scale."""
    detail = "The guidance scale is s = 1 + w." + (f" {more}" if more else "")
    return setting(default, help, detail=detail, label="Guidance weight w", ge=0, le=20, step=0.1)


def num_steps_setting(help: str, detail: str = "", section: str = "") -> Any:
    """A field for the number of sampler steps."""
    return setting(
        20, help, detail=detail, label="Sampler steps", ge=1, le=4000, log=True, section=section
    )
