"""HTML in which forgetting to escape is not possible: only `Html` is taken for markup."""

from __future__ import annotations

import html

VOID = {"input", "link", "meta"}
MAX_CHARS = 400
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class Html(str):
    """Text that is markup already; any other text is escaped wherever it is put."""

    __slots__ = ()


def el(tag: str, *children: str | None, **attributes: str | None) -> Html:
    """Return an element; a child or attribute that is None is left out.

    `class_` and `aria_live` stand for the attributes `class` and `aria-live`.
    """
    head = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{safe(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Html(f"<{tag}{head}>")
    return Html(f"<{tag}{head}>{join(*children)}</{tag}>")


def join(*children: str | None) -> Html:
    """Return the children one after the other."""
    return Html("".join(safe(child) for child in children if child is not None))


def safe(text: str) -> Html:
    """Return markup as it is, and any other text escaped, printable, and of bounded length.

    Control characters could end an event of the stream, and direction marks could make an order
    read as another one; both become a replacement character that everyone sees.
    """
    if isinstance(text, Html):
        return text
    cut = text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "..."
    seen = cut if cut.isprintable() else "".join(c if c.isprintable() else UNPRINTABLE for c in cut)
    return Html(html.escape(seen))
