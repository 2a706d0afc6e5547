"""How much a comparison needs before it says anything."""

from __future__ import annotations

from typing import Any

LEAST_SEEDS = 3
"""With two seeds the variance between seeds has one degree of freedom: an interval is 13 times as
wide as its error and shows nothing."""
LEAST_IMAGES = 10
"""Test images. With fewer, no difference in one of several classes or arms can be significant: ten
images that all change have p = 0.002 (McNemar 1947)."""


def too_few(seeds: int, images: int) -> str:
    """What a comparison has too few of, such as `too few seeds`; empty if it has enough."""
    if seeds < LEAST_SEEDS:
        return "too few seeds"
    return "too few test images" if images < LEAST_IMAGES else ""


def too_few_text(seeds: int, images: int) -> str:
    """The sentences in place of a verdict; empty if there is enough for one."""
    why = too_few(seeds, images)
    if not why:
        return ""
    least, found = (LEAST_SEEDS, seeds) if seeds < LEAST_SEEDS else (LEAST_IMAGES, images)
    what = "seeds per arm" if seeds < LEAST_SEEDS else "test images"
    there = f"there is {found}" if found == 1 else f"there are {found}"
    return f"Undecided: {why}. A verdict needs at least {least} {what}; {there}."


def no_verdict(text: str) -> dict[str, Any]:
    """A verdict without any number, with the keys of `findings.Verdict`."""
    blank = dict.fromkeys(("effect", "low", "high", "level", "minutes"))
    names = {"arm": "", "generator": ""}
    return {"text": text, "kind": "undecided", **blank, **names, "gain": [], "lose": []}


def no_difference(why: str) -> dict[str, Any]:
    """A difference without any number, and why there is none."""
    return {**dict.fromkeys(("mean", "low", "high", "level", "p", "p_holm")), "why": why}
