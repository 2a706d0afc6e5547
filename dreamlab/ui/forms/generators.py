"""What forms offer about trained generators: a list of them, their classes and their
checkpoints."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.service import Refused, Service
from dreamlab.settings import Setting, TrainSpec
from dreamlab.settings.synthesize import RAW
from dreamlab.settings.train import can_be_guided

SHOWN_PER_CLASS, FINE_PER_CLASS = 10, 4
"""Images per class on the Sample page: for small images, and for images from FINE pixels."""
FINE = 64
"""Side in pixels from which images count as large."""


def trained(service: Service, source: str | None) -> TrainSpec | None:
    """The spec of a generator; None if there is no such generator."""
    try:
        spec = service.get(source).spec if source else None
    except Refused:
        return None
    return spec if isinstance(spec, TrainSpec) else None


def guidable(service: Service, source: str) -> bool:
    """Whether classifier-free guidance is possible. True if there is no such generator."""
    spec = trained(service, source)
    return spec is None or can_be_guided(spec)


def listed(service: Service, stages: bool = False) -> list[tuple[str, str]]:
    """(label, id) of trained models: those that start from noise, or with `stages` the
    super-resolution models."""
    found = [(words, run, trained(service, run)) for words, run in service.choices("train")]
    return [(words, run) for words, run, spec in found if spec and bool(spec.low_size) == stages]


def class_choices(service: Service, source: str) -> list[tuple[str, int]]:
    """(name, number) of the classes of a generator; empty if there is no such generator."""
    spec = trained(service, source)
    return [(name, i) for i, name in enumerate(catalog.drawn_classes(spec))] if spec else []


def shown_per_class(service: Service, source: str) -> int:
    """Images per class that fit on the Sample page."""
    spec = trained(service, source)
    return FINE_PER_CLASS if spec and network_of(spec).image_size >= FINE else SHOWN_PER_CLASS


def checkpoint_choices(service: Service, run: str) -> list[tuple[str, str]]:
    """The checkpoints of a generator for a drop-down list: the last one, the same without averaging
    if the run has it, then the kept ones."""
    if not trained(service, run):
        return [("the last", "")]
    raw = [("the last, not averaged", RAW)] if service.has_raw_weights(run) else []
    return [("the last", ""), *raw, *((name, name) for name in service.checkpoints(run))]


def checkpoint_control(service: Service, k: Setting, elem_id: str, run: str) -> Any:
    """A drop-down list of the checkpoints of a run."""
    return gr.Dropdown(
        choices=checkpoint_choices(service, run),
        value="",
        allow_custom_value=True,
        label=k.label,
        info=k.full_help,
        elem_id=elem_id,
    )
