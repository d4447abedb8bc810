"""What a run is of: the resolved configuration that its directory keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.errors import HwnasError
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict
from hwnas.latency.measure import Setting
from hwnas.spaces.base import SPACES, SearchSpace
from hwnas.spaces.recipes import FixedSpace, RecipeSpace
from hwnas.zoo.catalog import resolve_genotype


def networks_of(space: str, network: Mapping[str, Any] | None) -> SearchSpace:
    """The space called ``space``, or that of one ``network`` (a genotype's JSON)."""
    return SPACES.get(space) if network is None else FixedSpace(genotype_from_dict(network))


def single(network: str | None, method: str | None, space: str | None) -> dict[str, Any]:
    """``space`` and ``network`` of the settings of a search of one network's recipes; nothing without ``network``."""
    if network is None:
        return {}
    if method is not None or space is not None:
        raise HwnasError("--network is one network instead of a space's", "leave out --space and --method, or it")
    genotype = resolve_genotype(network)
    return {"space": genotype.name, "network": genotype_to_dict(genotype)}


def with_recipes(networks: SearchSpace, vary: Sequence[str]) -> SearchSpace:
    """``networks`` with the fields of the recipe that are to ``vary``; a HwnasError for what is no choice."""
    if not vary:
        return networks
    from hwnas.cli.stages.training import RECIPE
    from hwnas.training.recipe_choices import recipe_choices

    return RecipeSpace(networks, recipe_choices(vary, RECIPE))


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
    force: bool = False
    """Whether the table may be of another setting than this machine's."""
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

    clock: str = "wall"
    """What ``minutes`` are counted by: a name in :data:`hwnas.clock.CLOCKS`."""

    evaluations: int | None = None
    """So many candidates at most."""

    network: Mapping[str, Any] | None = None
    """The genotype (as JSON) that is searched instead of a space's: only its recipe is."""
    vary: tuple[str, ...] = ()
    """Fields of the recipe that are searched, with their options: ``lr=0.003,0.01``."""

    supernet_recipe: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe that the search's supernet is trained by that differ from the usual ones."""
    supernet_teacher: str | None = None
    supernet_teacher_weights: str | None = None

    evaluation: EvaluatorOptions = field(default_factory=EvaluatorOptions)
    """How candidates are evaluated."""

    @property
    def networks(self) -> SearchSpace:
        """The networks that are searched."""
        return networks_of(self.space, self.network)

    @property
    def searched(self) -> SearchSpace:
        """The networks, with the recipes if those are searched, too."""
        return with_recipes(self.networks, self.vary)

    @property
    def engine_setting(self) -> Setting:
        """What the engine that is searched for, exported and judged runs in."""
        return Setting("onnxruntime", threads=self.threads)
