"""The part of the Fidelity tab that says which metric predicts usefulness."""

from __future__ import annotations

from typing import Any

import gradio as gr

from dreamlab.service import Refused, usefulness
from dreamlab.ui import render
from dreamlab.ui.charts import rank_scatter
from dreamlab.ui.parts import usefulness as parts
from dreamlab.ui.view import QUIET, Pages, View


def create(pages: Pages, view: Any) -> None:
    """Creates the panel: two choices, the scatter, and the table of correlations. It is about the
    data set of the measurement that the tab shows."""
    with gr.Column(elem_classes="dl-panel"):
        head = gr.HTML("", elem_id="usefulness-head")
        with gr.Row(visible=False) as choices:
            outcome = gr.Dropdown(
                [], label="Usefulness", elem_id="usefulness-outcome", filterable=False
            )
            metric = gr.Dropdown([], label="Metric", elem_id="usefulness-metric", filterable=False)
        chart = gr.Plot(show_label=False, elem_id="usefulness-chart", visible=False)
        table = gr.HTML("", elem_id="usefulness-table")
    panel = _Panel(pages)
    pages.add("fidelity", head, panel.key, panel.head)
    pages.add("fidelity", choices, panel.key, lambda now: gr.Row(visible=panel.any(now)))
    pages.add("fidelity", outcome, panel.picked, panel.outcomes)
    pages.add("fidelity", metric, panel.picked, panel.metrics)
    pages.add("fidelity", chart, lambda now: (panel.picked(now), now.theme), panel.chart)
    pages.add("fidelity", table, panel.picked, panel.table)
    for component, name in ((outcome, "usefulness-outcome"), (metric, "usefulness-metric")):
        component.input(
            lambda now, value, name=name: now.with_pick(name, value or ""),
            [view, component],
            view,
            **QUIET,
        )


class _Panel:
    """What the parts of the panel show of a view."""

    def __init__(self, pages: Pages):
        self._pages = pages
        self._last: tuple[Any, dict[str, Any]] | None = None
        self._evidence: tuple[Any, Any] = (None, None)
        """The version of the service, and that of the evidence, which looks at every run."""

    def key(self, now: View) -> Any:
        """Changes when the evidence or the data set changes."""
        service, version = self._pages.service, self._pages.service.version()
        if self._evidence[0] != version:
            self._evidence = (version, usefulness.version(service))
        return self._evidence[1], self._data_set(now)

    def picked(self, now: View) -> Any:
        """Like `key`, also with the choices."""
        return self.key(now), now.pick("usefulness-outcome"), now.pick("usefulness-metric")

    def _data_set(self, now: View) -> str:
        """The data set of the shown measurement; empty for the one that was measured last."""
        row = self._pages.chosen(now, "fidelity", ("fidelity",))
        if row is None or row.state != "done" or row.demo:
            return ""
        result = self._pages.service.status(row.id).result or {}
        return str((result.get("reference") or {}).get("dataset", ""))

    def report(self, now: View) -> dict[str, Any]:
        """The report, computed once for all parts. Without any measurement it has only `text`."""
        key = self.key(now)
        if self._last is None or self._last[0] != key:
            try:
                found = usefulness.report(self._pages.service, key[1])
            except Refused as refusal:
                found = {"outcomes": [], "dataset": "", "text": str(refusal)}
            self._last = (key, found)
        return self._last[1]

    def any(self, now: View) -> bool:
        """Whether there is something to draw."""
        return bool(self.report(now)["outcomes"])

    def _outcome(self, now: View) -> Any:
        return parts.chosen_outcome(self.report(now), now.pick("usefulness-outcome"))

    def head(self, now: View) -> Any:
        """The title, with the data set."""
        name = self.report(now)["dataset"]
        return render.macro("panel_head", "Which metric predicts usefulness?", name)

    def outcomes(self, now: View) -> Any:
        """The choice of what is predicted."""
        found = self._outcome(now)
        choices = parts.outcome_choices(self.report(now))
        return gr.Dropdown(choices=choices, value=found["label"] if found else None)

    def metrics(self, now: View) -> Any:
        """The choice of the metric that is drawn."""
        choices = parts.metric_choices(self._outcome(now))
        found = parts.chosen_metric(self._outcome(now), now.pick("usefulness-metric"))
        value = found["label"] if found else None
        return gr.Dropdown(choices=choices, value=value)

    def chart(self, now: View) -> Any:
        """The scatter of the chosen metric; hidden if there is nothing to draw."""
        outcome = self._outcome(now)
        if outcome is None:
            return gr.Plot(visible=False)
        metric = parts.chosen_metric(outcome, now.pick("usefulness-metric"))
        revision = f"{outcome['label']}/{metric['label'] if metric else ''}"
        figure = rank_scatter.scatter(
            metric, outcome["label"], outcome["unit"], now.theme, revision
        )
        return gr.Plot(value=figure, visible=True)

    def table(self, now: View) -> Any:
        """The correlations and what limits them."""
        return parts.table(self.report(now), now.pick("usefulness-outcome"))
