"""Which runs use which images of a data set, and which images none has used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from dreamlab.experiments.uses import Use
from dreamlab.service import Refused, Service
from dreamlab.service.sets import Roles
from dreamlab.ui import tabs
from dreamlab.ui.render import macro, part

TEMPLATE = "sets.html"
WORDS = {
    "generator": ("Generator, training", "generators"),
    "classifier": ("Classifier, training", "classifiers"),
    "validation": ("Set aside for validation", "runs"),
    "test": ("Classifier, test", "classifiers"),
    "fidelity": ("Fidelity, reference", "measurements"),
}
"""Role -> its name, and what the runs of an experiment with this role are."""
MOST_ROWS = 24


def roles_html(service: Service, dataset: str, data_dir: str) -> Markup:
    """The table of uses, what no run was trained on, and settings that keep or use such images."""
    try:
        found = service.roles(dataset, data_dir)
    except Refused:  # the images above say why
        return Markup()
    order = list(WORDS)
    listed = sorted(found.uses, key=lambda u: (order.index(u.role), _reversed(u.run)))
    rows = [_row(service, found, use) for use in listed[:MOST_ROWS]]
    unknown = (
        [
            f"The training images of {found.unknown:,} generator{'s' * (found.unknown > 1)} are not"
            " known; they may be any of these."
        ]
        if found.unknown
        else []
    )
    more = max(0, len(listed) - MOST_ROWS)
    offers = list(_offers(found, options(dataset, data_dir)))
    return part(TEMPLATE, "roles", free_text(found), unknown, rows, more, offers)


def users_html(service: Service, run: str) -> Markup:
    """The runs that use an imported synthetic set, the newest first."""
    listed = [row for how, row in service.lineage(run) if how == "made into"]
    links = [
        (row.kind, macro("run_link", row.id, row.name, tabs.of_kind(row.kind))) for row in listed
    ]
    return part(TEMPLATE, "users", links[:MOST_ROWS], max(0, len(links) - MOST_ROWS))


def free_text(found: Roles) -> str:
    """How many training images no run was trained on, in a sentence or two."""
    trained = [u for u in found.uses if u.role in ("generator", "classifier")]
    test = f"No run is trained on the {found.test:,} test images."
    if not trained:
        return f"No run has been trained on its {found.train:,} training images. {test}"
    free = found.free
    return (
        f"Of the {found.train:,} training images, {free['generator']:,} are free of every"
        f" generator, {free['classifier']:,} of every classifier and {free['either']:,} of both."
        f" {test}"
    )


def _offers(found: Roles, data: str) -> Iterator[tuple[str, str]]:
    """(sentence, options of a new run that follow those of the data set)."""
    if (unseen := found.unseen) is not None:
        yield (
            f"These settings train a classifier on {unseen.images:,} images that no generator was"
            " trained on:",
            f"{data} --skip-per-class {unseen.skip_per_class} --subset-seed {unseen.subset_seed}",
        )
    if (aside := found.aside) is not None:
        yield (
            f"These settings of a new run set {aside.images:,} images aside that no generator and"
            " no classifier was trained on:",
            f"{data} --validation {aside.validation:g} --subset-seed {aside.subset_seed}",
        )


def options(dataset: str, data_dir: str) -> str:
    """The options that name a data set."""
    return f"--dataset {dataset}" + (f" --data-dir '{data_dir}'" if data_dir else "")


def _row(service: Service, found: Roles, use: Use) -> tuple[Any, ...]:
    words, many = WORDS[use.role]
    try:
        row = service.row(use.run, disk=False)
        name, tab = row.name, tabs.of_kind(row.kind)
    except Refused:
        name, tab = use.run, "runs"
    link = part(TEMPLATE, "role_runs", use.run, name, tab, use.count, many)
    total = found.test if use.test else found.train
    of = f"{total:,} {'test' if use.test else 'training'}"
    if use.images is None:
        return words, link, "not known", of
    count = len(use.images)
    bar = macro("mix_bar", count, 0, total)
    return words, link, f"{count:,}", Markup("{} {}").format(of, bar)


def _reversed(run: str) -> tuple[int, ...]:
    """A key that sorts the newest run first."""
    return tuple(-ord(letter) for letter in run)
