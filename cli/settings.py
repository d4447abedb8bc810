"""What a run is of: the resolved configuration that its directory keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.latency.measure import Setting


@dataclass(frozen=True)
class Settings:
    """What a deployment is of; the resolved configuration of its run directory."""

    data: str
    size_hw: tuple[int, int]
    budget_ms: float
    budget_at: str
    minutes: float
    space: str
    strategy: str
    threads: int
    seed: int
    table: str | None = None
    confidence: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe of the last training that differ from the usual one."""
    teacher: str | None = None
    teacher_weights: str | None = None
    sampler: str = "uniform"
    method: str | None = None
    """The published system that brought space, strategy and sampler, or searches by gradients."""
    method_options: str = ""
    devices: tuple[str, ...] = ()
    """Tables of further devices or engines, ``NAME=FILE``."""
    objective: str = "miou"
    limits: tuple[str, ...] = ()
    """Upper limits of further costs, ``NAME=NUMBER``."""

    storage: str | None = None
    """URL of the database that keeps the study, without its password; else a journal in the run directory does."""
    study: str | None = None
    """The name of the study there."""

    evaluation: EvaluatorOptions = field(default_factory=EvaluatorOptions)
    """How candidates are evaluated."""

    @property
    def engine_setting(self) -> Setting:
        """What the engine that is searched for, exported and judged runs in."""
        return Setting("onnxruntime", threads=self.threads)
