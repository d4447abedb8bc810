"""What pictures say: HTML-like labels of nodes, and the title with its legend."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from hwnas.report.palette import FAINT, INK, outline

Swatch = tuple[str, str]
"""(colour, what it means)"""

LEGEND_COLUMNS = 6


def text(words: str, *, size: float = 10, bold: bool = False, colour: str = INK) -> str:
    """``words``, whatever characters they hold, in a font."""
    printable = html.escape("".join(letter for letter in words if letter.isprintable()), quote=False)
    marked = f"<b>{printable}</b>" if bold and printable else printable
    return f'<font point-size="{size}" color="{colour}">{marked}</font>'


def lines(head: str, badge: str, *small: str) -> str:
    """A node's label: ``head`` in bold with ``badge`` behind it, and smaller lines below."""
    first = text(head, bold=True) + (text(f" {badge}", size=9) if badge else "")
    return "<" + "<br/>".join([first, *(text(line, size=8, colour=FAINT) for line in small if line)]) + ">"


def heading(title: str, swatches: Sequence[Swatch], notes: Sequence[str] = ()) -> str:
    """The picture's label: its title, notes and a legend, one below the other. ``""`` if there is none of them."""
    rows = [f"<tr><td>{text(title, size=14, bold=True)}</td></tr>"] if title else []
    rows += [f"<tr><td>{text(note, size=10)}</td></tr>" for note in notes]
    if swatches:
        rows.append(f"<tr><td>{_legend(swatches)}</td></tr>")
    return f'<<table border="0" cellspacing="0" cellpadding="2">{"".join(rows)}</table>>' if rows else ""


def _legend(swatches: Sequence[Swatch]) -> str:
    """A table whose rows are as full as each other."""
    row_count = math.ceil(len(swatches) / LEGEND_COLUMNS)
    columns = math.ceil(len(swatches) / row_count)
    rows = [swatches[start : start + columns] for start in range(0, len(swatches), columns)]
    body = "".join(f"<tr>{''.join(_swatch(*swatch) for swatch in row)}</tr>" for row in rows)
    return f'<table border="0" cellspacing="3" cellpadding="1">{body}</table>'


def _swatch(colour: str, meaning: str) -> str:
    patch = f'<td fixedsize="true" width="16" height="11" border="1" color="{outline(colour)}" bgcolor="{colour}"></td>'
    return f'{patch}<td align="left">{text(meaning, size=9)}</td>'
