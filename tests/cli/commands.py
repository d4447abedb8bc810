"""Running whole commands in process, and what the guide to their JSON promises of each."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.cli.main import main
from hwnas.data.base import Read, record_reads

JSON_GUIDE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()


@dataclass(frozen=True)
class Command:
    """How a command ended: exit code, its JSON document, what it said on standard error, what data it read."""

    code: int
    document: dict[str, Any]
    said: str
    reads: list[Read]


def run(*words: object) -> Command:
    """Run a command with ``--json``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), record_reads() as reads:
        code = main([*map(str, words), "--json"])
    return Command(code, json.loads(out.getvalue()), err.getvalue(), reads)


def promised(verb: str) -> set[str]:
    """The fields that docs/json.md promises of a verb."""
    for section in JSON_GUIDE.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        if verb == title or verb in re.split(r"[ ,]+", title):
            rows = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `")]
            return {name for row in rows or [body] for name in re.findall(r"`(\w+)`", row)}
    raise AssertionError(f"docs/json.md has no section about {verb}")
