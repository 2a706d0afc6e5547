"""What a form offers of the trained generators: which there are, their classes and their
checkpoints."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.architecture.network import network_of
from dreamlab.data import catalog
from dreamlab.service import Refused, Service
from dreamlab.settings import Setting, TrainSpec
from dreamlab.settings.train import can_be_guided

SHOWN_PER_CLASS, FINE_PER_CLASS = 10, 4
"""Images per class on the page, of small images and of fine ones."""
FINE = 64
"""Pixels a side from which on images are fine."""


def trained(service: Service, source: str | None) -> TrainSpec | None:
    """How a generator was trained; None where there is no such generator."""
    try:
        spec = service.get(source).spec if source else None
    except Refused:
        return None
    return spec if isinstance(spec, TrainSpec) else None


def guidable(service: Service, source: str) -> bool:
    """Whether a generator has an unconditional model of its own to be guided by."""
    spec = trained(service, source)
    return spec is None or can_be_guided(spec)


def listed(service: Service, stages: bool = False) -> list[tuple[str, str]]:
    """(label, id) of the trained models that start from noise, or of those that make images
    larger."""
    found = [(words, run, trained(service, run)) for words, run in service.choices("train")]
    return [(words, run) for words, run, spec in found if spec and bool(spec.low_size) == stages]


def class_choices(service: Service, source: str) -> list[tuple[str, int]]:
    """(name, number) of what a generator can draw; none where there is no such generator."""
    spec = trained(service, source)
    return [(name, i) for i, name in enumerate(catalog.drawn_classes(spec))] if spec else []


def shown_per_class(service: Service, source: str) -> int:
    """Images per class that fit on the Sample page."""
    spec = trained(service, source)
    return FINE_PER_CLASS if spec and network_of(spec).image_size >= FINE else SHOWN_PER_CLASS


def checkpoint_choices(service: Service, run: str) -> list[tuple[str, str]]:
    """The kept checkpoints of a generator, after its last one."""
    kept = service.checkpoints(run) if trained(service, run) else []
    return [("the last", ""), *((name, name) for name in kept)]


def checkpoint_control(service: Service, k: Setting, elem_id: str, run: str) -> Any:
    """A drop-down of what a run has kept."""
    return gr.Dropdown(
        choices=checkpoint_choices(service, run),
        value="",
        allow_custom_value=True,
        label=k.label,
        info=k.full_help,
        elem_id=elem_id,
    )
