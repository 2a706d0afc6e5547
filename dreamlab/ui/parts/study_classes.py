"""Class by class on the Studies tab: which two classifiers are compared, and their confusion
matrices. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.ui.parts import class_tables

Group = dict[str, Any]
"""A control with the classifiers that are compared with it, as
`dreamlab.experiments.study.by_class` gives them: `classes` and `arms`."""


def pairs(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """(label, key) of every classifier with its control, those of the verdict first."""
    return [
        (f"{arm['label']} against {group['arms'][0]['label']}", _key(group, arm))
        for group in groups
        for arm in group["arms"][1:]
    ]


def _key(group: Group, arm: dict[str, Any]) -> str:
    return f"{group['arms'][0]['arm']} {arm['arm']}"


def chosen(groups: Sequence[Group], asked: str) -> tuple[Group, dict[str, Any]] | None:
    """The group and the classifier with this key, else the first; None if there is none."""
    found = {_key(group, arm): (group, arm) for group in groups for arm in group["arms"][1:]}
    return found.get(asked) or next(iter(found.values()), None)


def confusion_html(groups: Sequence[Group], asked: str) -> Markup:
    """The confusion matrices of the control and of the chosen classifier, and the change."""
    if (found := chosen(groups, asked)) is None:
        return Markup()
    group, arm = found
    return class_tables.confusion_html(group, arm, both=True)
