"""The answer of a mix in words: the verdict, what it is about, and the verdict for each
generator."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from dreamlab.data import catalog
from dreamlab.service import RunRow, Service
from dreamlab.settings import MixSpec
from dreamlab.ui import render
from dreamlab.ui.forms import controls
from dreamlab.ui.parts import mix_report
from dreamlab.ui.parts.verdicts import progress_html, split, verdict_html

PAGE = "mix.html"


def spec_of(service: Service, row: RunRow | None) -> MixSpec | None:
    """The settings of a mix; None without one."""
    spec = service.get(row.id).spec if row else None
    return spec if isinstance(spec, MixSpec) else None


def about_html(spec: MixSpec, report: dict[str, Any], demo: bool = False) -> Markup:
    """Data, classifier and seeds of a mix in one line, with a badge for each generator."""
    info = catalog.info(spec.dataset)
    control = mix_report.reference(report)
    real = f"{control['real']:,}" if control else f"up to {info.train:,}"
    network = controls.WORDS.get(spec.classifier, spec.classifier)
    test = report.get("test_images") or info.test
    text = (
        f"{info.title}, {real} real images, {network}, {spec.seeds} seeds, tested on {test:,}"
        " held-out real images"
    )
    badges = [f"{g['name']}: {g['badge']}" for g in _generators(report) if g.get("badge")]
    return render.part(PAGE, "about", text, badges, demo)


def answer_html(row: RunRow | None, report: dict[str, Any], spec: MixSpec | None) -> Markup:
    """The answer of a mix, or its progress."""
    if row is None or spec is None:
        return render.macro(
            "page_head",
            "Does synthetic data help?",
            "No mix yet. Start one with the form on the left, or with the button on the Home page,"
            " which asks this question for 100 digits.",
        )
    if row.state == "done" and report.get("verdict"):
        about = about_html(spec, report, row.demo)
        verdict = verdict_html(report["verdict"])
        notes = " ".join(report.get("notes") or [])
        return render.part(PAGE, "answer", about, verdict, by_generator(report), notes)
    progress = progress_html(row, "The verdict follows when all classifiers are trained", "mix")
    return render.part(PAGE, "answer", about_html(spec, report), "", [], "", progress)


def by_generator(report: dict[str, Any]) -> list[dict[str, str]]:
    """Name, badge (what it was trained on) and verdict of each generator."""
    return [
        {"name": g["name"], "badge": g["badge"], "text": split(g["verdict"].get("text", ""))[0]}
        for g in _generators(report)
        if g.get("verdict")
    ]


def _generators(report: dict[str, Any]) -> list[dict[str, Any]]:
    return report.get("generators") or []


def best_html(report: dict[str, Any]) -> Markup:
    """The sentence on the best mix, which explains the grey band in the chart; empty if there is
    none."""
    return render.part(PAGE, "best", str((report.get("best") or {}).get("text") or ""))


def exchange_html(report: dict[str, Any]) -> Markup:
    """The sentence on the exchange rate, above the learning curves."""
    return render.part(PAGE, "exchange", str((report.get("exchange") or {}).get("text") or ""))
