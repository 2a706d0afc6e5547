"""What is known of the memory of a synthetic set: the neighbours of an image, and the mixes that
can be repeated without the near-copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dreamlab.data import catalog, imageset, memory, memory_report, near_copies
from dreamlab.data.memory import Memory, Space
from dreamlab.experiments.identity import data_of
from dreamlab.paths import program
from dreamlab.service.library import RunRow
from dreamlab.service.reader import Reader
from dreamlab.service.refused import Refused, refusing
from dreamlab.settings import FidelitySpec, ImportSpec, MixSpec, SynthesizeSpec, make
from dreamlab.store import Run, write_bytes
from dreamlab.store.run_files import kind_in


def neighbours(reader: Reader, run_id: str, image: int, picture: Path | None = None) -> Any:
    """The nearest training and held-out images of one image of a synthetic set, or of the set that
    a fidelity run measured, in each space, as a JSON object. With `picture`, they are also drawn
    into this PNG file. Raises Refused."""
    made, by, found = _measured(reader, run_id)
    images = len(found.spaces[memory.PIXELS].ratio)
    if not 0 <= image < images:
        raise Refused(
            f"Image (--image): {image} cannot be used; {made} has the images 0 to {images - 1:,}.",
            "image",
        )
    if picture is not None:
        _draw(reader, made, found, image, picture)
    return {
        "set": made,
        "measured_by": by,
        "image": image,
        "class": found.classes[found.labels[image]] if len(found.labels) else None,
        "spaces": [_near(found, name, s, image) for name, s in found.spaces.items()],
        "references": found.references,
        "known": found.known,
        "note": f"{memory_report.compared(memory.about(found))} {memory_report.NO_GUARANTEE}",
        **({"picture": str(picture)} if picture else {}),
    }


def _near(found: Memory, name: str, s: Space, image: int) -> dict[str, Any]:
    def real(index: Any, distance: Any, labels: Any) -> dict[str, Any]:
        i = int(index[image])
        return {
            "image": i,
            "class": found.classes[labels[i]],
            "distance": round(float(distance[image]), 6),
        }

    return {
        "space": name,
        "training": real(s.training, s.training_distance, found.train_labels),
        "held_out": real(s.held_out, s.held_out_distance, found.test_labels),
        "ratio": round(float(s.ratio[image]), 6),
        "limit": round(s.limit, 6) if s.rate is not None else None,
        "rate": s.rate,
        "flagged": bool(s.flagged[image]),
    }


def _measured(reader: Reader, run_id: str) -> tuple[str, str | None, Memory]:
    """(id of the set, fidelity run that measured it or None, what was found) of a set or of a
    fidelity run. Of a set, the newest measurement. Raises Refused."""
    run = reader.get(run_id)
    spec = run.spec
    if isinstance(spec, FidelitySpec):
        made, runs = spec.images, [run]
    elif isinstance(spec, SynthesizeSpec) or (
        isinstance(spec, ImportSpec) and spec.role == "synthetic"
    ):
        made = run.id
        runs = [r for r in reader.library.runs() if _measures(r, made)]
    else:
        raise Refused(
            f"{run.id} is a {run.kind} run; name a synthetic set, or a fidelity run that measured"
            " its memory.",
            "run",
        )
    for by in runs:
        if (found := memory.load(by.path)) is not None:
            return made, by.id, found
    own = memory.load(run.path)
    if own is not None:
        return made, None, own
    raise Refused(
        f"The nearest real images of {made} are not known; `{program()} fidelity --images {made}"
        " --metrics memory` finds them.",
        "run",
    )


def _measures(run: Run, made: str) -> bool:
    if run.kind != "fidelity" or run.problem():
        return False
    return isinstance(run.spec, FidelitySpec) and run.spec.images == made


def _draw(reader: Reader, made: str, found: Memory, image: int, picture: Path) -> None:
    if picture.suffix != ".png" or picture.exists():
        why = "exists already; give another name" if picture.exists() else "must end in .png"
        raise Refused(f"Picture (--to): {picture} {why}.", "to")
    with refusing("run"):
        name, folder = data_of(make(FidelitySpec, {"images": made}), reader.library) or ("", "")
        data = catalog.load(name, folder)
        if near_copies.identity(data) != found.data:
            raise Refused(
                f"Data ({name}): the images have changed since {made} was compared with them; bring"
                " the former ones back.",
                "run",
            )
    space = found.spaces[memory.PIXELS]
    images, _ = reader.images(made)
    near = int(space.training[image]), int(space.held_out[image])
    try:
        write_bytes(picture, imageset.png(memory_report.row(images, data, image, *near)))
    except OSError as error:
        raise Refused(f"{picture} cannot be written: {error.strerror}.", "to") from None


def mixes(reader: Reader, made: str) -> list[RunRow]:
    """The finished mixes that use a synthetic set with its near-copies, newest first."""
    rows = []
    for run in reader.library.runs():
        spec = None if run.kind != "mix" or run.problem() or run.record.demo else run.spec
        if not isinstance(spec, MixSpec) or spec.without_near_copies:
            continue
        if made in (*run.record.parents, *run.record.children):
            rows.append(reader.row(run.id, disk=False))
    return [row for row in rows if row.state == "done"]


def copied_sets(reader: Reader, mix: Run) -> dict[str, int]:
    """Id -> number of images that are flagged in pixels, of the sets of a mix whose memory was
    measured and that have some."""
    found = {}
    for name in dict.fromkeys((*mix.record.parents, *mix.record.children)):
        if kind_in(name) in ("synthesize", "import"):
            known = memory.load(reader.store.folder / name)
            if known is not None and len(left_out := known.left_out()):
                found[name] = len(left_out)
    return found
