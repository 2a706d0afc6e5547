"""Gradio components for settings, one each. Advanced settings are in collapsed sections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from dreamlab.classifiers.registry import CLASSIFIERS
from dreamlab.data.catalog import INFO
from dreamlab.service import Service
from dreamlab.settings import Setting, Spec, exact, settings_of
from dreamlab.settings.classifier_recipe import RECIPES
from dreamlab.settings.presets import PRESETS
from dreamlab.ui.forms import picker

FILLERS: dict[str, dict[str, dict[str, Any]]] = {"preset": PRESETS, "recipe": RECIPES}
"""Settings that fill in others: name of the setting -> choice -> the values that it sets."""


def _studies() -> dict[str, str]:
    """Names of the presets of studies: S4, or S2 (1, 2, 2, 2) if presets of one study differ in
    their multipliers."""
    of_study = [name.split("-")[0] for name in PRESETS]
    words = {}
    for name, study in zip(PRESETS, of_study, strict=True):
        if study[1:].isdigit():
            widths = (
                f" ({', '.join(map(str, PRESETS[name]['multipliers']))})"
                if of_study.count(study) > 1
                else ""
            )
            words[name] = study.upper() + widths
    return words


WORDS = {
    "dpmpp_2m": "DPM-Solver++(2M)",
    "ddim": "DDIM",
    "sampler=ddpm": "DDPM (ancestral)",
    "heun": "Heun",
    **{c.name: c.title for c in CLASSIFIERS.values()},
    "recipe=fast": "fast, for small sets",
    "recipe=strong": "strong, for ResNets on whole sets",
    "budget=steps": "equal optimiser steps",
    "budget=epochs": "equal epochs, as the studies",
    "controls=duplicated": "real images repeated",
    "controls=augmented": "classical augmentation",
    "controls=synthetic": "synthetic only (CAS)",
    "controls=noise": "noise images",
    "role=real": "real: a data set of its own",
    "role=synthetic": "synthetic: made elsewhere",
    "fit=crop": "crop to the middle",
    "fit=pad": "pad with a border",
    "fit=stretch": "stretch",
    "color=rgb": "colour",
    "color=auto": "grey if all images are grey",
    "labeller=none": "none",
    "labeller=own": "a classifier trained on the same real images",
    "labeller=all": "a classifier trained on the whole training split",
    "scale=laptop": "laptop: minutes",
    "scale=middle": "middle: about an hour",
    "scale=corrected": "corrected: its size without its mistakes",
    "scale=paper": "paper: as published",
    "classifier": "trained here (fd_classifier)",
    "inception": "Inception-v3 (FID)",
    "dinov2": "DINOv2, from a folder (fd_dinov2)",
    "clip": "CLIP, from a folder (fd_clip)",
    "extractor=own": "a classify run of yours (fd_own)",
    "guidance_weight": "guidance weight w",
    "num_steps": "sampler steps",
    "num_train_timesteps": "noise steps T (retrains)",
    "test": "test images",
    "train": "training images",
    "linear": "linear (fixed betas)",
    "linear_scaled": "linear_scaled (to T)",
    "adamw": "AdamW",
    "adam": "Adam",
    "adafactor": "Adafactor",
    "sgd": "SGD",
    "muon": "Muon",
    "sqrt_snr": "sqrt-SNR",
    "min_snr": "min-SNR",
    **{name: info.title for name, info in INFO.items()},
    **_studies(),
}
"""How pages show a choice. The key is `field=choice` if the same choice means something else in
another field."""
NONE = ("none", "")


def label(k: Setting) -> str:
    """The label of a setting with its unit."""
    return f"{k.label}, {k.unit}" if k.unit else k.label


def word(k: Setting, choice: str) -> str:
    """How pages show a choice of a setting."""
    return WORDS.get(f"{k.name}={choice}", WORDS.get(choice, choice))


def optional_run(k: Setting) -> bool:
    """Whether a setting names one run or data set, or none."""
    return bool(k.run_kind) and k.type == "str" and not k.required and not k.default


def run_choices(k: Setting, choices: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The entries of a drop-down list of runs: "none" if it may be empty, then named data sets,
    then the runs in `choices`."""
    return [*([NONE] if optional_run(k) else []), *((word(k, c), c) for c in k.choices), *choices]


def usual_run(k: Setting, offered: Sequence[tuple[str, str]]) -> str | None:
    """The initial value of a drop-down list of runs: the default if it is offered, else the first
    entry."""
    return (
        k.default
        if k.default in {run for _, run in offered}
        else (offered[0][1] if offered else None)
    )


def control(k: Setting, choices: Sequence[tuple[str, str]], elem_id: str) -> Any:
    """The Gradio component for a setting. It does not enforce bounds; the spec does, with a helpful
    sentence."""
    common: dict[str, Any] = {
        "label": label(k),
        "info": k.full_help,
        "elem_id": elem_id,
        "show_label": True,
    }
    if k.run_kind:
        many, offered = k.type == "list", run_choices(k, choices)
        first: Any = [] if many else usual_run(k, offered)
        return gr.Dropdown(
            choices=offered,
            value=first,
            multiselect=many,
            allow_custom_value=True,
            filterable=True,
            **common,
        )
    if k.choices:
        return gr.Dropdown(
            choices=[(word(k, c), c) for c in k.choices],
            value=shown(k, k.default),
            filterable=False,
            multiselect=k.type == "list",
            **common,
        )
    if k.type == "bool":
        return gr.Checkbox(value=bool(k.default), **common)
    if k.type == "list":
        return gr.Textbox(value=shown(k, k.default), max_lines=2, **common)
    if k.type in ("int", "float"):
        if k.low is not None and k.high is not None and not k.log:
            step = k.step or (1 if k.type == "int" else (k.high - k.low) / 100)
            slider = gr.Slider(k.low, k.high, value=k.default, step=step, buttons=[], **common)
            # pass on what was typed: for a value out of bounds the spec gives a sentence beside
            # the form, but Gradio only a message that disappears
            slider.preprocess = _as_typed  # type: ignore[method-assign]
            return slider
        return gr.Number(value=k.default, **common)
    return gr.Textbox(value=k.default or "", max_lines=1, **common)


def placed(service: Service, k: Setting, elem_id: str) -> Any:
    """The component for a setting in the current column, with what fills it in: the runs that it
    may name, or buttons that choose files (above a required one also a place to drop them)."""
    choices = service.choices(k.run_kind) if k.run_kind else []
    if not k.path:
        return control(k, choices, elem_id)
    place = picker.create(service.places, elem_id, large=True) if k.required else None
    component = control(k, choices, elem_id)
    place = place or picker.create(service.places, elem_id, large=False)
    picker.connect(service.places, place, component)
    return component


def _as_typed(payload: float) -> float:
    return payload


def read(k: Setting, value: Any) -> Any:
    """The value of a component as the spec expects it."""
    if k.type == "list":
        return tuple(value) if isinstance(value, (list, tuple)) else (value or "")
    if k.type == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if k.type == "str":
        return "" if value is None else value
    return value


def shown(k: Setting, value: Any) -> Any:
    """The value of a spec as the component expects it; the inverse of `read`."""
    if k.type != "list":
        return value
    if k.choices or k.run_kind:
        return list(value)
    return ", ".join(exact(v) for v in value)


def fillers(cls: type[Spec]) -> list[str]:
    """The settings of a spec that fill in others: `preset`, `recipe`."""
    return [k.name for k in settings_of(cls) if k.name in FILLERS]


def filled_by(cls: type[Spec], filler: str, choice: str) -> dict[str, Any]:
    """The values of all fields that any choice of this filler sets. A field that `choice` does not
    set has its default."""
    defaults = {k.name: k.default for k in settings_of(cls)}
    touched = sorted({name for fields in FILLERS[filler].values() for name in fields})
    return {name: FILLERS[filler].get(choice, {}).get(name, defaults[name]) for name in touched}


def changed(cls: type[Spec], values: dict[str, Any]) -> set[str]:
    """Names of the values that differ from the default and from the chosen preset or recipe.
    `values` are as `read` returns them."""
    own: dict[str, Any] = {}
    for filler in fillers(cls):
        own |= FILLERS[filler].get(str(values.get(filler, "")), {})
    found = set()
    for k in settings_of(cls):
        if k.name in values and not k.required:
            usual = own.get(k.name, k.default)
            if read(k, shown(k, usual)) != _compared(k, values[k.name]):
                found.add(k.name)
    return found


def _compared(k: Setting, value: Any) -> Any:
    """Lists are compared by their parts, so that spaces do not matter."""
    return (
        ", ".join(p.strip() for p in value.split(",") if p.strip())
        if k.type == "list" and isinstance(value, str)
        else value
    )


@dataclasses.dataclass(frozen=True)
class Section:
    """A collapsed section of a form."""

    title: str
    names: tuple[str, ...]
    accordion: Any

    def header(self, differing: Iterable[str]) -> str:
        """Its title, with the number of settings that differ."""
        return header(self.title, len(self.names), len(set(differing) & set(self.names)))


def header(title: str, settings: int, differing: int = 0) -> str:
    """For example 'Noise, 3 settings' or 'Noise, 3 settings, 2 changed'."""
    count = f"{settings} setting{'s' if settings != 1 else ''}"
    words = f"{title}, {count}" if title else count.replace(" ", " more ", 1)
    return f"{words}, {differing} changed" if differing else words


def folded(
    service: Service,
    shown_settings: Sequence[Setting],
    prefix: str,
    special: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], list[Section]]:
    """Creates the advanced settings in collapsed sections, in the current column. Returns
    (name -> component, sections).

    `special`: name -> function (setting, elem_id) -> component, for settings for which `control` is
    not enough.
    """
    fields: dict[str, Any] = {}
    sections: list[Section] = []
    advanced = [k for k in shown_settings if k.advanced]
    for title in dict.fromkeys(k.section for k in advanced):
        mine = [k for k in advanced if k.section == title]
        with gr.Accordion(
            header(title, len(mine)),
            open=False,
            elem_id=f"{prefix}-{title.lower() or 'more'}",
            elem_classes="fold",
        ) as accordion:
            for k in mine:
                make = (special or {}).get(k.name)
                fields[k.name] = (
                    make(k, f"{prefix}-{k.name}")
                    if make
                    else placed(service, k, f"{prefix}-{k.name}")
                )
        sections.append(Section(title, tuple(k.name for k in mine), accordion))
    return fields, sections
