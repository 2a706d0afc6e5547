"""What a user sees of a piece of HTML: its text, the rows of its tables, what is bold, the looks
that carry a meaning. Tests compare these and leave the tags to the templates."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input"}
INLINE = {"b", "code", "i", "u"}
"""Elements whose text runs on in the line; what stands in any other is set apart."""


@dataclasses.dataclass
class Element:
    """One element with its attributes; an attribute without a value is an empty text."""

    tag: str
    attributes: dict[str, str]
    inside: list[Element | str] = dataclasses.field(default_factory=list)

    @property
    def text(self) -> str:
        """The text that is seen, with single spaces; parts that are set apart have one between
        them."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        apart = "" if self.tag in INLINE else " "
        said = "".join(part if isinstance(part, str) else part._raw() for part in self.inside)
        return f"{apart}{said}{apart}"

    def all(self, *tags: str) -> Iterator[Element]:
        """Every element inside, in the order of the page; only those with one of these tags if any
        are named."""
        for part in self.inside:
            if isinstance(part, Element):
                if not tags or part.tag in tags:
                    yield part
                yield from part.all(*tags)

    def with_look(self, look: str) -> list[Element]:
        """The elements inside that have a look of the style sheet."""
        return [e for e in self.all() if look in e.attributes.get("class", "").split()]


class Tree(HTMLParser):
    """Builds the tree of elements. Fails where an end does not fit its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            last = self.open.pop()
            assert last.tag == tag, f"</{tag}> ends <{last.tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def parsed(html: str) -> Element:
    """The whole piece as one element without a tag. Fails where tags do not fit each other."""
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert len(tree.open) == 1, f"<{tree.open[-1].tag}> is not ended"
    return tree.open[0]


def text(html: str) -> str:
    """The text that is seen, with single spaces."""
    return parsed(html).text


def texts(html: str, *tags: str) -> list[str]:
    """The text of every element with one of these tags."""
    return [found.text for found in parsed(html).all(*tags)]


def rows(html: str) -> list[list[str]]:
    """The rows of all tables, heads too, each as the texts of its cells."""
    return [[cell.text for cell in row.all("th", "td")] for row in parsed(html).all("tr")]


def bold(html: str) -> list[str]:
    """The texts in bold."""
    return texts(html, "b")


def looks(html: str) -> list[tuple[str, str]]:
    """(text, look) of every text with a look of the style sheet: colours that mean something, such
    as "good", "bad" and "warn"."""
    return [
        (found.text, look)
        for found in parsed(html).all()
        for look in found.attributes.get("class", "").split()
    ]


def hints(html: str) -> list[tuple[str, str]]:
    """(hint, text) of what shows a hint when it is pointed at."""
    return [
        (found.attributes["title"], found.text)
        for found in parsed(html).all()
        if "title" in found.attributes
    ]


def heights(html: str) -> list[float]:
    """Heights in pixels of what is drawn as a bar, in the order of the page."""
    styles = [found.attributes.get("style", "") for found in parsed(html).all()]
    return [float(value) for s in styles for value in re.findall(r"height:([\d.]+)px", s)]
