"""Writes docs/studies/*.md from finished runs: `python -m tests.make_studies RUNS`, one page per
study, its scales below each other.

A scale that has no finished run in RUNS keeps its section of the page and its line of the list as
they are. Scales on other data than the laptop's get a picture of their images.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamlab import studies
from dreamlab.data import catalog
from dreamlab.estimates.cost import duration
from dreamlab.estimates.schedule import union
from dreamlab.service.tables import number, published
from dreamlab.stats import generator_quality
from dreamlab.store import Run, RunStore
from tests import study_pictures

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "studies"
INTRODUCTION = (
    "Made by `python -m tests.make_studies RUNS` on two CPU cores without AMX, other work beside it"
    " (at the laptop scale, s2-mlp was paused for nine minutes, s2-epochs for about forty). Every"
    " section of a page names its commit and the command that gave it; every cell has its seeds and"
    " interval. A laptop scale asks the question of the study on digits with small networks, a"
    " middle scale on a real data set with small networks: their numbers stand beside the published"
    " ones, they do not replace them. [What to make of them](reading.md)."
)


NAMED = "--commit"


@dataclasses.dataclass(frozen=True)
class Section:
    """The section of one finished run of a study: its result, the commit that computed it, and the
    caption and file name of its picture, empty if it has none."""

    run: Run
    result: dict[str, Any]
    commit: str
    caption: str = ""
    picture: str = ""
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Id of an imported set that the command names -> what stands for it, such as FLOWERS."""

    def named(self, datasets: str) -> str:
        """The data sets of the command, without the ids of imports."""
        return ",".join(self.names.get(name, name) for name in datasets.split(","))


def finished(store: RunStore) -> dict[str, dict[str, tuple[Run, dict[str, Any]]]]:
    """The newest finished run of every study and scale, with its result."""
    found: dict[str, dict[str, tuple[Run, dict[str, Any]]]] = {}
    for run in sorted(store, key=lambda r: r.id):
        result = run.result() if run.kind == "study" and run.status().state == "done" else None
        if result:
            found.setdefault(run.spec.study, {})[result["scale"]] = (run, result)
    return found


def page(name: str, runs: Mapping[str, Section], before: str = "") -> str:
    """One study: what was published, and our tables. `runs`: scale -> its section; `before`: the
    page as it is, whose sections of other scales are kept."""
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
    kept = {scale: kept for scale in study.scales if (kept := _kept(before, scale))}
    for scale in study.scales:
        if scale in runs:
            lines += ["", *_scale(runs[scale])]
        elif scale in kept:
            lines += ["", *kept[scale]]
    return "\n".join(lines) + "\n"


def _heading(scale: str) -> str:
    return f"## {scale.capitalize()} scale"


def _kept(text: str, scale: str) -> list[str]:
    """The lines of the section of a scale in a page; empty if it has none."""
    _, found, rest = text.partition(f"\n{_heading(scale)}\n")
    own = rest.split("\n## ")[0]
    return [_heading(scale), *own.rstrip().split("\n")] if found else []


def _scale(section: Section) -> list[str]:
    run, result = section.run, section.result
    command = re.sub(r"--data-dir \S+", "--data-dir FOLDER", run.record.command)
    command = re.sub(r"--dataset (\S+)", lambda m: f"--dataset {section.named(m[1])}", command)
    lines = [
        _heading(result["scale"]),
        "",
        result["summary"],
        "",
        f"It ran on: {result['data']}",
        "",
    ]
    lines += [
        (
            f"Commit {section.commit}, {result['seconds']:,.0f} s of computing by all parts:"
            f" `{command}"
            " --json`"
        ),
        "",
    ]
    if result["verdict"]:
        lines += [f"> {result['verdict']['text']}", ""]
    if section.caption:
        lines += [f"![{section.caption}]({section.picture})", "", section.caption, ""]
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


def index(found: Mapping[str, Mapping[str, Section]], before: str = "") -> str:
    """The list of what was run here, with the answer of each in its own words. `before`: the list
    as it is, whose other lines are kept."""
    old = {
        (m[1], m[2]): m[0]
        for m in re.finditer(r"^\| \[([\w-]+)\]\([^)]*\) \| (\w+) \|.*$", before, re.MULTILINE)
    }
    rows = []
    for name in studies.names():
        for scale in studies.load(name).scales:
            section = found.get(name, {}).get(scale)
            if section is None:
                rows += [old[name, scale]] if (name, scale) in old else []
                continue
            result = section.result
            said = _answer(result) if result["verdict"] else "measured, nothing is judged"
            rows.append(f"| [{name}]({name}.md) | {scale} | {said} | {_took(section.run)} |")
    header = ["| study | scale | answer | time |", "| --- | --- | --- | --- |"]
    return "\n".join(["# The five studies, run here", "", INTRODUCTION, "", *header, *rows, ""])


def _took(study: Run) -> str:
    """The time in which parts of a study were computed. Parts that an earlier study had computed
    are not counted, and neither is the time in which it was stopped."""
    began = datetime.datetime.fromisoformat(study.record.created).timestamp()
    spans: list[tuple[float, float]] = []
    for name in study.record.children:
        part = Run(study.path.parent / name).status()
        if part.started is not None and part.ended is not None and part.started >= began:
            spans.append((part.started, part.ended))
    return duration(union(spans))


def _answer(result: dict[str, Any]) -> str:
    """The first part of a verdict, after what it must say first."""
    first = generator_quality.caution(result.get("generators") or [])
    return first + re.split(r"[;.] ", result["verdict"]["text"].removeprefix(first))[0]


def commit_of(run: Run) -> str:
    """The commit whose code made a run: the one that the command names, else the newest one from
    before it was submitted, which holds only for runs of this folder's own code."""
    if NAMED in sys.argv:
        return sys.argv[sys.argv.index(NAMED) + 1]
    asked = ["git", "rev-list", "-1", "--abbrev-commit", f"--before={run.record.created}", "HEAD"]
    return subprocess.run(
        asked, capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.strip()


def section_of(run: Run, result: dict[str, Any], store: RunStore) -> Section:
    """The section of a finished run; its picture is written too."""
    named = {
        name: store.get(name).record.name.upper().replace(" ", "-")
        for name in run.spec.references()
    }
    scale = result["scale"]
    if scale == "laptop":
        return Section(run, result, commit_of(run), names=named)
    picture = f"{result['study']}-{scale}.webp"
    caption = study_pictures.write(run, store, PAGES / picture)
    return Section(run, result, commit_of(run), caption, picture, named)


def main() -> None:
    if len(sys.argv) not in (2, 4) or (len(sys.argv) == 4 and sys.argv[2] != NAMED):
        raise SystemExit(
            f"python -m tests.make_studies RUNS [{NAMED} ID]: the folder of the runs, and the"
            " commit whose code made them, if it was that of another folder"
        )
    PAGES.mkdir(parents=True, exist_ok=True)
    store = RunStore(Path(sys.argv[1]))
    catalog.add_runs_folder(store.folder)
    sections = {
        name: {scale: section_of(*of, store) for scale, of in runs.items()}
        for name, runs in finished(store).items()
    }
    for name, runs in sections.items():
        file = PAGES / f"{name}.md"
        file.write_text(page(name, runs, file.read_text() if file.exists() else ""))
    listed = PAGES / "README.md"
    listed.write_text(index(sections, listed.read_text() if listed.exists() else ""))


if __name__ == "__main__":
    main()
