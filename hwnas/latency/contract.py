"""The timing contract: how a latency was measured. It travels with every latency; unequal ones are not compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from hwnas.errors import TableError

SETTING = (
    "device",
    "cores",
    "pinned",
    "governor",
    "engine",
    "engine_version",
    "precision",
    "batch",
    "threads",
    "size_hw",
    "scope",
    "inside",
)
"""Fields that must agree before two latencies are compared. The others record how well it was measured."""


@dataclass(frozen=True)
class TimingContract:
    """The setting of a latency and how it was taken."""

    device: str
    """Model name of the processor."""
    cores: int
    engine: str
    engine_version: str
    precision: str
    threads: int
    size_hw: tuple[int, int]
    batch: int = 1
    pinned: tuple[int, ...] = ()
    """Cores that the process was confined to; empty: all."""
    governor: str = "unknown"
    scope: str = "engine"
    """What is timed: ``engine`` is one run of the engine, from a filled input buffer to a filled output buffer."""
    inside: tuple[str, ...] = ("upsampling",)
    """What of the way from pixels to labels is inside the timed region: upsampling, argmax, preprocessing, copies."""
    warmup: str = ""
    runs: int = 0
    estimator: str = ""
    clock: str = ""
    """``cpu`` (process CPU time), ``wall``, or ``device`` (a GPU's own events)."""
    date: str = ""
    reference_ms: float = 0.0
    """Median time of the reference kernel (see ``reference.py``) that was timed in between; 0 where none was."""
    reference_drift: float = 0.0
    """How far its slow moments lay above its median: 0.9 quantile over median, less one."""

    def differences(self, other: TimingContract) -> list[str]:
        """Names of the setting's fields in which the two differ; empty if their latencies may be compared."""
        return [name for name in SETTING if getattr(self, name) != getattr(other, name)]

    def slowdown_since(self, earlier: TimingContract) -> float | None:
        """By how much the machine was slower than under ``earlier``: 0.1 is 10%. None where the reference kernel does
        not say, because it was not timed in both or ran in another engine or with other threads."""
        if not (self.reference_ms > 0 and earlier.reference_ms > 0):
            return None
        if any(getattr(self, name) != getattr(earlier, name) for name in ("device", "engine", "threads")):
            return None
        return self.reference_ms / earlier.reference_ms - 1.0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TimingContract:
        """The inverse of :meth:`to_dict`; a missing or unknown field is a TableError."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(document) - known)
        if unknown:
            raise TableError(f"the timing contract has an unknown field {unknown[0]!r}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise TableError(f"the timing contract is incomplete ({error})") from error


def compare(first: TimingContract, second: TimingContract) -> None:
    """Refuse, with a TableError naming the first differing field, to compare latencies of different settings."""
    names = first.differences(second)
    if names:
        described = "; ".join(f"{name}: {getattr(first, name)} against {getattr(second, name)}" for name in names)
        raise TableError(f"these latencies cannot be compared: they differ in {described}")
