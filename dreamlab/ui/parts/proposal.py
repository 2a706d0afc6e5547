"""What an import would do, for the page: before anything is written. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.service.looking import Look
from dreamlab.settings import ImportSpec
from dreamlab.ui.parts import class_tables
from dreamlab.ui.parts.import_report import left_out_html
from dreamlab.ui.render import part
from dreamlab.ui.words import duration, size

TEMPLATE = "proposal.html"


def proposal_html(
    spec: ImportSpec, look: Look, named: Callable[[str], str] = str, targets: Sequence[str] = ()
) -> Markup:
    """The proposal for a source, the reason why it cannot be imported, or that it is being looked
    at. `named` gives a source a name for people; `targets` are the classes of the data set to which
    the images belong, if any."""
    if not look.done.is_set():
        return part(TEMPLATE, "working", named(spec.source))
    if look.refusal:
        return part(TEMPLATE, "refused", look.refusal)
    found = look.proposal
    if found is None:  # a download
        return Markup("")
    sheet = found["sample"].get("sheet") or {}
    picture = {**sheet, "src": f"data:image/png;base64,{sheet['png']}"} if sheet else None
    counts: dict[str, list[int]] = {spec.role: found["per_class"]}
    histograms = class_tables.histograms(
        tuple(found["classes"]), [(f"{sum(found['per_class']):,} images", counts)], "broad"
    )
    unusable = {
        f"{reason} (of {found['sample']['images']:,} tried)": n
        for reason, n in found["sample"]["unusable"].items()
    }
    left_out = left_out_html("", {**found, "left_out_counts": found["left_out_counts"] | unusable})
    rows = sheet.get("classes", [])
    return part(
        TEMPLATE,
        "proposal",
        found,
        spec.role,
        taken=taken(found),
        picture=picture,
        rows=rows,
        shown=shown(found, len(rows)),
        pairs=[
            (row["from"], f"{row['images']:,}", row["to"] or "left out") for row in found["mapping"]
        ],
        targets=targets,
        histograms=histograms,
        left_out=left_out,
    )


def taken(found: dict[str, Any]) -> str:
    """What would be imported, in sentences."""
    parts = ", ".join(f"{count:,} for {part}" for part, count in found["splits"].items())
    side = found["image_size"]
    seconds = "a few seconds" if found["seconds"] < 10 else f"about {duration(found['seconds'])}"
    return (
        f"Read by {found['reading']}. {sum(found['per_class']):,} images in"
        f" {len(found['classes']):,} class{'' if len(found['classes']) == 1 else 'es'}"
        f"{f' ({parts})' if parts else ''} of {side} x {side} pixels: {size(found['bytes'])},"
        f" {seconds} to read, and then a search for near-copies."
    )


def shown(found: dict[str, Any], rows: int) -> str:
    """Which images of the sample are shown."""
    cell, side = found["sample"].get("sheet", {}).get("cell", 0), found["image_size"]
    some = f"{rows} class{'' if rows == 1 else 'es'}"
    classes = f"a sample of {'each class' if rows == len(found['classes']) else some}"
    return f"{classes}; {side} x {side} pixels{'' if cell == side else ', shown smaller'}"
