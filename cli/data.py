"""``hwnas data``: looking after data sets. ``data check`` is the linter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.cli.verb import new_group

if TYPE_CHECKING:
    pass

app = new_group("Data sets: check.", example="hwnas data check camvid:CamVid")
