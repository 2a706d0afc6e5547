"""Writes docs/studies/*.md from finished runs: `python -m tests.make_studies RUNS`, one page per
study, its scales below each other."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamlab import studies
from dreamlab.estimates.cost import duration
from dreamlab.service.tables import number, published
from dreamlab.stats import generator_quality
from dreamlab.store import Run, RunStore

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "studies"


def finished(store: RunStore) -> dict[str, dict[str, tuple[Run, dict[str, Any]]]]:
    """The newest finished run of every study and scale, with its result."""
    found: dict[str, dict[str, tuple[Run, dict[str, Any]]]] = {}
    for run in sorted(store, key=lambda r: r.id):
        result = run.result() if run.kind == "study" and run.status().state == "done" else None
        if result:
            found.setdefault(run.spec.study, {})[result["scale"]] = (run, result)
    return found


def page(name: str, runs: dict[str, tuple[Run, dict[str, Any]]], commit: str) -> str:
    """One study: what was published, and our tables."""
    study = studies.load(name)
    lines = [
        f"# {study.id}: {study.title}",
        "",
        f"**{study.question}**",
        "",
        study.source,
        "",
        "## As published",
        "",
    ]
    lines += _table(("setting", "value"), list(study.settings.items()))
    lines += ["", "What to know about it:", "", *(f"- {note}" for note in study.notes)]
    for scale in study.scales:
        if scale in runs:
            lines += ["", *_scale(*runs[scale], commit)]
    return "\n".join(lines) + "\n"


def _scale(run: Run, result: dict[str, Any], commit: str) -> list[str]:
    command = re.sub(r"--data-dir \S+", "--data-dir FOLDER", run.record.command)
    lines = [
        f"## {result['scale'].capitalize()} scale",
        "",
        result["summary"],
        "",
        f"It ran on: {result['data']}",
        "",
    ]
    lines += [
        (
            f"Commit {commit}, {result['seconds']:,.0f} s of computing by all parts: `{command}"
            " --json`"
        ),
        "",
    ]
    if result["verdict"]:
        lines += [f"> {result['verdict']['text']}", ""]
    rows = [
        (
            row["arm"],
            row["metric"],
            published(row) + (" (!)" if row["flag"] else ""),
            number(row["ours"], row["low"], row["high"]),
            row["our_metric"],
            "" if row["seeds"] is None else str(row["seeds"]),
            "" if row["images"] is None else f"{row['images']:,}",
            _difference(row["difference"]),
            row["stand_in"],
        )
        for row in result["rows"]
    ]
    header = (
        "arm",
        "metric",
        "published",
        "ours (95 % interval)",
        "our metric",
        "seeds",
        "images",
        "difference (Holm)",
        "ours ran on",
    )
    lines += _table(header, rows)
    lines += ["", *(f"- (!) {row['arm']}: {row['flag']}" for row in result["rows"] if row["flag"])]
    lines += [
        f"- \\* {row['arm']}: {row['derived']}" for row in result["rows"] if row.get("derived")
    ]
    for heading, said in (
        ("Assumed", result["assumptions"]),
        ("Of the comparison", result["remarks"]),
        ("Of the published numbers", result["anomalies"]),
    ):
        if said:
            lines += ["", f"{heading}:", "", *(f"- {sentence}" for sentence in said)]
    return lines


def _difference(d: dict[str, Any] | None) -> str:
    return "" if d is None else f"{number(d['mean'], d['low'], d['high'])}, p = {d['p_holm']:.3g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    kept = [i for i in range(len(header)) if i < 2 or any(row[i] for row in rows)]
    made = [[row[i].replace("|", "\\|") for i in kept] for row in (header, *rows)]
    return [f"| {' | '.join(line)} |" for line in (made[0], ["---"] * len(kept), *made[1:])]


def index(found: dict[str, dict[str, tuple[Run, dict[str, Any]]]], commit: str) -> str:
    """The list of what was run here, with the answer of each in its own words."""
    rows = []
    for name in studies.names():
        for scale, (run, result) in found.get(name, {}).items():
            said = _answer(result) if result["verdict"] else "measured, nothing is judged"
            # parts that an earlier study had computed already are not counted
            began = datetime.datetime.fromisoformat(run.record.created).timestamp()
            rows.append(
                (
                    f"[{name}]({name}.md)",
                    scale,
                    said,
                    duration((run.status().ended or began) - began),
                )
            )
    return "\n".join(
        [
            "# The five studies, run here",
            "",
            (
                f"Made by `python -m tests.make_studies RUNS` at commit {commit} on two CPU cores"
                " without AMX, other work beside it; every cell of the pages has its seeds and"
                " interval, and the command that gave it. A laptop scale asks the question of the"
                " study on digits with small networks: its numbers stand beside the published"
                " ones, they do not replace them. [What to make of them](reading.md)."
            ),
            "",
            *_table(("study", "scale", "answer", "time"), rows),
            "",
        ]
    )


def _answer(result: dict[str, Any]) -> str:
    """The first part of a verdict, after what it must say first."""
    first = generator_quality.caution(result.get("generators") or [])
    return first + re.split(r"[;.] ", result["verdict"]["text"].removeprefix(first))[0]


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("python -m tests.make_studies RUNS: the folder of the runs")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    PAGES.mkdir(parents=True, exist_ok=True)
    found = finished(RunStore(Path(sys.argv[1])))
    for name, runs in found.items():
        (PAGES / f"{name}.md").write_text(page(name, runs, commit.stdout.strip()))
    (PAGES / "README.md").write_text(index(found, commit.stdout.strip()))


if __name__ == "__main__":
    main()
