"""Small pure functions that return escaped HTML: words for numbers, statistics, tables, bars,
badges, sheets."""

from __future__ import annotations

import base64
import datetime
import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dreamlab.ui.theme import mix_css

STATE_WORDS = {
    "queued": "queued",
    "running": "running",
    "stopping": "stopping",
    "stopped": "stopped and kept",
    "done": "done",
    "failed": "failed",
    "interrupted": "interrupted, resumes by itself",
    "unreadable": "unreadable",
}
KIND_TAB = {
    "import": "data",
    "train": "train",
    "synthesize": "gallery",
    "fidelity": "fidelity",
    "sweep": "fidelity",
    "mix": "mix",
    "classify": "mix",
    "study": "studies",
}
OTHER = "var(--line-2)"
"""Colour of images that are neither new real ones nor synthetic: repeated ones, noise."""
MINUS = "\u2212"


def esc(value: Any) -> str:
    """Text safe inside elements and quoted attributes."""
    return html.escape(str(value), quote=True)


def clock(seconds: float | None) -> str:
    """Time left as m:ss or h:mm:ss; empty where unknown."""
    if seconds is None:
        return ""
    s = max(0, round(seconds))
    return (
        f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" if s >= 3600 else f"{s // 60}:{s % 60:02d}"
    )


def duration(seconds: float | None) -> str:
    """How long something took, with its unit."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else clock(seconds) + (" h" if seconds >= 3600 else " min")
    )


def size(count: int | None) -> str:
    """Bytes with a unit, decimal."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def signed(points: float, digits: int = 1) -> str:
    """A difference with its sign; a real minus sign."""
    text = f"{abs(points):.{digits}f}"
    return ("+" if points >= 0 else MINUS) + text


def when(created: str) -> str:
    """A stored time as day and time, without seconds; the text itself where it is no time."""
    try:
        return datetime.datetime.fromisoformat(created).strftime("%d %b %H:%M")
    except ValueError:
        return created


def button(
    text: str,
    act: str,
    *,
    main: bool = False,
    key: str = "",
    id: str = "",
    small: bool = False,
    **data: Any,
) -> str:
    """A button that app.js hands to the page's one action handler as {act, ...data}."""
    classes = "btn" + (" main" if main else "") + (" small" if small else "")
    extra = "".join(
        f' data-{name.replace("_", "-")}="{esc(value)}"' for name, value in data.items()
    )
    mark = f" <kbd>{esc(key)}</kbd>" if key else ""
    name = f' id="{esc(id)}"' if id else ""
    return (
        f'<button type="button" class="{classes}"{name}'
        f' data-act="{esc(act)}"{extra}>{esc(text)}{mark}</button>'
    )


def run_link(run: str, text: str, tab: str) -> str:
    """A link that opens a run in its tab, in this page or in a new one."""
    return (
        f'<a class="run" href="?tab={esc(tab)}&amp;run={esc(run)}" data-act="open"'
        f' data-run="{esc(run)}" data-tab="{esc(tab)}">{esc(text)}</a>'
    )


def chip(text: str, kind: str = "") -> str:
    return f'<span class="chip {esc(kind)}">{esc(text)}</span>'


def state_chip(state: str) -> str:
    return f'<span class="state {esc(state)}">{esc(STATE_WORDS.get(state, state))}</span>'


def demo_chip(demo: bool) -> str:
    return (
        ' <span class="chip demo" title="Shipped with DreamLab: real results, computed'
        ' before">demo</span>'
        if demo
        else ""
    )


def panel_head(title: str, note: str = "") -> str:
    return (
        f'<h2 class="head">{esc(title)}' + (f" <span>{esc(note)}</span>" if note else "") + "</h2>"
    )


def legend(entries: Iterable[tuple[str, float]]) -> str:
    """Words beside short lines of ink, each as dark (0 to 1) as the line it names."""
    return (
        '<div class="legend">'
        + "".join(
            f'<span><i style="opacity:{ink:g}"></i>{esc(word)}</span>' for word, ink in entries
        )
        + "</div>"
    )


def page_head(title: str, sub: str) -> str:
    return f'<h1 class="title">{esc(title)}</h1><p class="sub">{esc(sub)}</p>'


def stats(pairs: Iterable[tuple[str, str]]) -> str:
    """Large numbers with a small word under each."""
    return (
        '<div class="stat">'
        + "".join(f"<div><b>{esc(v)}</b><small>{esc(w)}</small></div>" for v, w in pairs)
        + "</div>"
    )


def track(share: float) -> str:
    """A progress bar, 0 to 1."""
    percent = min(max(share, 0.0), 1.0) * 100
    return (
        '<span class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{percent:.0f}" aria-label="progress"><i'
        f' style="width:{percent:.1f}%"></i></span>'
    )


def mix_bar(real: float, synthetic: float, largest: float, other: float = 0) -> str:
    """Real (blue), synthetic (vermilion) and other (grey) counts as one bar on a common scale."""
    scale = 100 / largest if largest else 0
    parts = ((real, "var(--real)"), (synthetic, "var(--synthetic)"), (other, OTHER))
    drawn = "".join(
        f'<i style="width:{n * scale:.1f}%;background:{colour}"></i>' for n, colour in parts if n
    )
    return f'<span class="bar" aria-hidden="true">{drawn}</span>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", kind: str = ""
) -> str:
    """Cells are HTML already (escape them); heads are text. The first column is left-aligned."""
    top = "".join(f'<th scope="col">{esc(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    title = f'<caption class="quiet">{esc(caption)}</caption>' if caption else ""
    return (
        "<div class='wide'><table"
        f" class='{esc(kind)}'>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def command_line(command: str) -> str:
    """The command with a button that copies it."""
    return (
        f'<div class="cmdbox"><div class="cmd" tabindex="0">{esc(command)}</div><button'
        f' type="button" class="btn small" data-copy="{esc(command)}" aria-label="Copy the'
        ' command">Copy</button></div>'
    )


def gains(classes: Sequence[str], points: Sequence[float], fraction: float) -> str:
    """Gain of each class in points as bars around a zero line, with the number under each (sign and
    colour)."""
    if not points:
        return ""
    top, low = max(max(points), 0.0), min(min(points), 0.0)
    span = (top - low) or 1.0
    height = 84.0
    cells = []
    for name, value in zip(classes, points, strict=False):
        h = abs(value) / span * height
        y = (top - max(value, 0.0)) / span * height
        word = "good" if value > 0.05 else "bad" if value < -0.05 else "mut"
        cells.append(
            f'<div class="gain"><div class="well" style="height:{height:.0f}px"><u'
            f' style="top:{top / span * height:.1f}px"></u><i'
            f' style="top:{y:.1f}px;height:{max(h, 1):.1f}px;background:{mix_css(fraction)}"></i></div><div>{esc(name)}</div><div'
            f' class="{word}">{signed(value)}</div></div>'
        )
    return '<div class="gains">' + "".join(cells) + "</div>"


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def download(text: str, name: str, kind: str, words: str) -> str:
    """A link that saves a text as a file; nothing is asked of the server."""
    return (
        f'<a class="btn small" download="{esc(name)}"'
        f' href="{data_uri(text.encode(), kind)}">{esc(words)}</a>'
    )


def export_links(run: str, what: str) -> str:
    """The images of a run as files that the server makes when they are asked for."""
    links = "".join(
        f'<a class="btn small" download href="/export/{esc(run)}?format={kind}">{words}</a>'
        for kind, words in (("zip", "class folders (ZIP)"), ("npz", ".npz"))
    )
    return f'<span class="mut">{esc(what)}:</span>{links}'


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """A quiet two-column table of names and values."""
    rows = "".join(
        f'<tr><td>{esc(name)}</td><td class="left">{esc(value)}</td></tr>' for name, value in pairs
    )
    return f'<table class="kv plain"><tbody>{rows}</tbody></table>'


def sheet(
    src: str,
    width: int,
    height: int,
    cell: int,
    *,
    frame: str = "",
    alt: str,
    zoom: int = 0,
    rows: Sequence[str] = (),
) -> str:
    """A contact sheet at whole-number zoom (app.js picks it so that whole cells fit). Pixels:
    width, height, cell.

    `frame` is "real" or "synthetic"; `rows` are the class names beside the rows.
    """
    names = "".join(f"<span>{esc(n)}</span>" for n in rows)
    side = f'<div class="rows" aria-hidden="true">{names}</div>' if names else ""
    return (
        f'<dl-sheet class="{esc(frame)}" data-w="{width}" data-h="{height}" data-cell="{cell}"'
        f' data-zoom="{zoom}">{side}<div class="clip" tabindex="0"><img class="px" src="{esc(src)}"'
        f' width="{width}" height="{height}" alt="{esc(alt)}"></div></dl-sheet>'
    )


def film(
    key: str,
    frames: Sequence[dict[str, Any]],
    panels: Sequence[tuple[str, str]],
    rows: Sequence[str],
    *,
    ends: tuple[str, str] = ("", ""),
    append: bool = False,
) -> str:
    """Frames with a timeline and Play, each of one picture or of several that move together; app.js
    keeps the place when new ones arrive.

    frames: {"srcs": one per panel, "w", "h", "cell" (pixels), "title", "caption"}; panels: (title,
    alternative text), the title of the first is that of the frame; `append`: only the newest frame
    is handed over and app.js keeps those before it, by `key`. `ends`: what stands at the two ends
    of the timeline.
    """
    if not frames:
        return ""
    last = frames[-1]
    sheets = "".join(
        f"<div>{panel_head(title) if title else ''}"
        f"{sheet(src, last['w'], last['h'], last['cell'], frame='synthetic', alt=alt, rows=rows)}</div>"
        for src, (title, alt) in zip(last["srcs"], panels, strict=True)
    )
    pictures = f'<div class="pair">{sheets}</div>' if len(panels) > 1 else sheets
    mark = " data-append" if append else ""
    return (
        f'<dl-film data-key="{esc(key)}" data-frames="{esc(json.dumps(list(frames)))}"{mark}><h2'
        f' class="head"><b class="film-title">{esc(last["title"])}</b> <span'
        f' class="film-note">{esc(last["caption"])}</span></h2>{pictures}<div'
        f' class="timeline"><span class="mut">{esc(ends[0])}</span><input type="range" min="0"'
        f' max="{len(frames) - 1}" value="{len(frames) - 1}" step="1" aria-label="Place in'
        f' time"><span class="mut">{esc(ends[1])}</span><button type="button" class="btn small'
        ' film-play">Play <kbd>space</kbd></button></div></dl-film>'
    )
