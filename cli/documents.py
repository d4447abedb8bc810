"""Parts of JSON answers that several verbs give."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.latency.table import LatencyTable


def table_document(path: Path, table: LatencyTable) -> dict[str, Any]:
    """What a latency table holds and how far it can be believed."""
    return {
        "table": str(path),
        "kernels": len(table.entries),
        "coverage": {name: list(pair) for name, pair in table.coverage.items()},
        "accuracy": {name: asdict(each) for name, each in table.accuracy.items()},
        "repeat_error": dict(table.repeat_error),
        "contract": table.contract.to_dict(),
    }
