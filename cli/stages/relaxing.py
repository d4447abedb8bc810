"""The gradient methods' part of a search: a relaxation trained under the budget, and the genotype within it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli.stages.data import TrainingData
from hwnas.clock import Clock
from hwnas.errors import BudgetError, GenotypeError, HwnasError, TableError
from hwnas.files import write_json, write_text
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.keys import keys_of
from hwnas.latency.model import TableModel
from hwnas.search.methods import Method
from hwnas.search.objective import Budget
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, Decisions
from hwnas.spaces.decisions import canonical
from hwnas.spaces.relaxed import RelaxedSpace, relaxed
from hwnas.supernet.prices import Price, fastest_of, remembered
from hwnas.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.progress import Progress
    from hwnas.search.gradient.budget import AugmentedLagrangian
    from hwnas.search.gradient.logits import Expected
    from hwnas.search.gradient.order import Prepared
    from hwnas.search.gradient.repair import Repaired
    from hwnas.search.gradient.trace import Traced
    from hwnas.supernet.relaxed import RelaxedNetwork
    from hwnas.training.distill import Distillation, Teacher

logger = logging.getLogger(__name__)

PROBES = 24
"""Genotypes that are priced to see whether the table and the budget serve the space."""
CHECKPOINT, TRACE, TRELLIS = "relaxation.safetensors", "trace.json", "trellis"
RECIPE = Recipe(balance="enet", lr=5e-3, batch=4)
"""Smaller batches than a network's: a supernet is larger."""


@dataclass(frozen=True)
class Ground:
    """What a relaxation is searched on: the space, what its genotypes cost, and the most that they may.

    ``others`` price further devices, by the names of their tables.
    """

    method: Method
    space: RelaxedSpace
    model: TableModel
    limit_ms: float
    size_hw: tuple[int, int]
    classes: int
    seed: int
    others: Mapping[str, TableModel] = field(default_factory=dict)

    def graph(self, decisions: Decisions, shape: Shape | None = None) -> OpGraph:
        """The op graph of ``decisions``, at the run's size or at another."""
        return expand(self.space.decode(decisions).genotype, shape or (3, *self.size_hw), self.classes)

    @cached_property
    def price(self) -> Price:
        """Predicted p50 in ms; infinite where the table has no price."""

        return self._price_by(self.model)

    def _price_by(self, model: TableModel) -> Price:
        def priced(decisions: Decisions) -> float:
            try:
                return model.predict(self.graph(decisions)).latency_ms
            except (TableError, GenotypeError):
                return math.inf

        return remembered(priced)

    def check(self) -> None:
        """That the table knows the ops of the space, and that something in it is within the limit.

        TableError names the ops that it lacks; BudgetError says the space's floor.
        """
        rng = np.random.default_rng([self.seed, 5])
        drawn = [self.space.sample(rng) for _ in range(PROBES)]
        lacking: dict[str, str] = {}
        for decisions in drawn:
            for key in keys_of(self.graph(decisions)).values():
                try:
                    self.model.node_ms(key)
                except TableError:
                    lacking.setdefault(key.op, key.text)
        if lacking:
            raise TableError(
                f"the latency table has no time of ops that the space {self.space.name} is made of: "
                + ", ".join(sorted(lacking))
                + f" (such as {next(iter(lacking.values()))})",
                f"measure them: hwnas profile --missing --space {self.space.name}",
            )
        prices = [self.price(decisions) for decisions in drawn]
        start = drawn[int(np.argmin(prices))]
        if min(prices) > self.limit_ms:
            _, floor = fastest_of(self.space, self.price, start, stop_ms=self.limit_ms)
            if floor > self.limit_ms:
                raise BudgetError(
                    f"nothing in the space {self.space.name} can meet {self.limit_ms:.3g} ms: "
                    f"the fastest found is {floor:.2f} ms",
                    f"raise the budget to {floor * 1.1:.2f} ms or more, or choose a smaller --size",
                )

    def learn(self) -> None:
        """Learn what :attr:`expectation` goes by, which takes up to a minute."""
        self.expectation  # noqa: B018

    @cached_property
    def expectation(self) -> Expected:
        """Expected latency of a relaxation, exact or from draws, as the space allows."""
        from hwnas.search.gradient.expected import DrawnExpectation, exact, is_exact

        if is_exact(self.space):
            rng = np.random.default_rng([self.seed, 2])
            return exact(self.space, self.model, self.size_hw, self.classes, rng)
        return DrawnExpectation(self.space, self.price, seed=self.seed)

    def costs(self) -> dict[str, Expected]:
        """Expected multiply-adds, parameters, and time on further devices, relative to their mean over the space."""
        from hwnas.compiler.cost import cost_of
        from hwnas.search.gradient.expected import DrawnExpectation

        counted = remembered(lambda decisions: cost_of(self.graph(decisions)))
        prices: dict[str, Price] = {
            "macs": lambda decisions: counted(decisions).macs,
            "params": lambda decisions: counted(decisions).params,
            **{name: self._price_by(model) for name, model in self.others.items()},
        }
        rng = np.random.default_rng([self.seed, 6])
        drawn = [canonical(self.space, self.space.sample(rng)) for _ in range(PROBES)]

        def relative(price: Price) -> Expected:
            known = [each for each in map(price, drawn) if math.isfinite(each)]
            if not known:
                raise TableError(f"the table of a further device has no time of networks of {self.space.name}")
            mean = float(np.mean(known))
            return DrawnExpectation(self.space, lambda decisions: price(decisions) / mean, seed=self.seed)

        return {name: relative(price) for name, price in prices.items()}


def lay_ground(
    method: Method,
    space: str,
    model: TableModel,
    budget: Budget,
    margin: float,
    size_hw: tuple[int, int],
    classes: int,
    seed: int,
    others: Mapping[str, TableModel] | None = None,
) -> Ground:
    """What ``method`` searches ``space`` on; the limit leaves ``margin`` for the machine's drift."""
    limit_ms = budget.p50_ms / margin
    ground = Ground(method, relaxed(SPACES.get(space)), model, limit_ms, size_hw, classes, seed, others or {})
    ground.check()
    return ground


def recipe_of(method: Method) -> Recipe:
    """The recipe that the method's supernet is trained by."""
    return RECIPE.with_values(dict(method.recipe))


@dataclass(frozen=True)
class Relaxed:
    """A trained relaxation: its looks, what it was turned into, and its steps."""

    traced: Traced
    prepared: Prepared
    steps: int


def relax(
    ground: Ground,
    data: TrainingData,
    *,
    seconds: float,
    threads: int,
    options: Mapping[str, Any],
    recipe: Recipe,
    teacher: Teacher | None,
    folder: Path,
    progress: Progress,
    clock: Clock = time.monotonic,
) -> Relaxed:
    """Train the relaxation for ``seconds`` in all lives of ``folder / "relaxation.safetensors"``, by ``recipe`` and
    from the ``teacher``, if there is one."""
    from hwnas.search.gradient.budget import AugmentedLagrangian
    from hwnas.search.gradient.fitting import SegmentationLoss, crop_shape, fit_relaxation, halve
    from hwnas.search.gradient.order import Order
    from hwnas.training.device import make_fabric
    from hwnas.training.distill import Distillation, check_teacher
    from hwnas.training.logs import Log
    from hwnas.training.schedule import Budget as Time

    halves = halve(data.arrays, data.train, data.classes)
    fabric = make_fabric(recipe, threads=threads)
    shape = crop_shape(recipe, data.arrays)
    if teacher is not None:
        check_teacher(teacher, data.classes)
    taught = () if teacher is None else (Distillation.of(teacher, recipe, shape[1:]),)

    def loss(network: RelaxedNetwork, *own: Distillation) -> SegmentationLoss:
        teachers = (*taught, *own)
        return SegmentationLoss.of(network, fabric, recipe, data.arrays, halves.weights, data.classes, teachers)

    budget = AugmentedLagrangian(ground.limit_ms)
    order = Order(
        space=ground.space,
        shape=shape,
        classes=data.classes,
        loss=loss,
        recipe=recipe,
        expected_ms=lambda weights: ground.expectation(weights),  # learned when it is first asked for
        budget=budget,
        seed=ground.seed,
        costs=ground.costs() if ground.method.name == "cas" else {},
        options=options,
    )
    prepared = ground.method.prepare()(order)
    traced = _traced(ground, prepared, budget, folder, every=max(1, len(halves.weights) // recipe.batch))
    fitted = fit_relaxation(
        traced,
        prepared.network,
        prepared.optimizer,
        data.arrays,
        halves,
        fabric,
        recipe=recipe,
        budget=Time(seconds=seconds),
        seed=ground.seed,
        facts={
            "method": ground.method.name,
            "space": ground.space.name,
            "limit_ms": ground.limit_ms,
            "teacher": "" if teacher is None else teacher.identity,
            **options,
        },
        checkpoint=folder / CHECKPOINT,
        log=Log(folder / "relaxation.jsonl"),
        progress=progress,
        clock=clock,
    )
    if not traced.looks or traced.looks[-1].step != traced.steps:
        traced.look()
    return Relaxed(traced, prepared, fitted.spent.steps)


def _traced(ground: Ground, prepared: Prepared, budget: AugmentedLagrangian, folder: Path, every: int) -> Traced:
    """The method's step, with a look every so often that is recorded, and that the budget hears of."""
    from hwnas.search.gradient.expected import DrawnExpectation, is_exact
    from hwnas.search.gradient.trace import Traced

    drawn = None if is_exact(ground.space) else ground.expectation
    more = {"expectation": drawn.part()} if isinstance(drawn, DrawnExpectation) else {}
    record = _recorder(ground, folder)

    def seen(traced: Traced, derived: Mapping[str, Value]) -> None:
        record(traced, derived)
        budget.follow(traced.looks[-1].gap)

    return Traced(prepared.step, ground.space, ground.price, every=every, seen=seen, more=more)


def _recorder(ground: Ground, folder: Path) -> Callable[[Traced, Mapping[str, Value]], None]:
    """Keep all looks in ``trace.json`` and, where the network has a path, its trellis at each in ``trellis/``."""
    from hwnas.report.trellis import TRELLISES, draw_trellis

    def seen(traced: Traced, derived: Mapping[str, Value]) -> None:
        looks = [look.to_dict() for look in traced.looks]
        write_json(folder / TRACE, {"limit_ms": ground.limit_ms, "looks": looks, "derived": dict(derived)})
        genotype, look = ground.space.decode(derived).genotype, traced.looks[-1]
        if genotype.skeleton in TRELLISES:
            dot = draw_trellis(TRELLISES[genotype.skeleton](genotype), f"step {look.step}: {look.derived_ms:.2f} ms")
            (folder / TRELLIS).mkdir(exist_ok=True)
            write_text(folder / TRELLIS / f"step{look.step:06d}.dot", dot)

    return seen


def draw_looks(folder: Path) -> Path | None:
    """The plot of expected against derived latency, ``trace.svg``; None where matplotlib is not installed."""
    from hwnas.errors import MissingPackage
    from hwnas.files import read_json
    from hwnas.report.trace import draw_trace

    trace = read_json(folder / TRACE, "trace of the relaxation")
    try:
        return draw_trace(trace["looks"], trace["limit_ms"], folder / "trace.svg")
    except MissingPackage as error:
        logger.info("no plot of the trace: %s", error)
        return None


def within(ground: Ground, relaxation: Relaxed, limit_ms: float) -> Repaired:
    """The most probable genotype within ``limit_ms``, what is derived itself if it is."""
    import torch

    from hwnas.search.gradient.repair import repaired

    probabilities = relaxation.traced.relaxation()
    tensors = {name: torch.from_numpy(np.asarray(vector)) for name, vector in probabilities.items()}
    meant = {name: vector.numpy() for name, vector in ground.space.choice_probabilities(tensors).items()}
    return repaired(ground.space, meant, ground.space.derive(probabilities), ground.price, limit_ms)


def inherited(ground: Ground, relaxation: Relaxed, decisions: Decisions) -> dict[str, Tensor]:
    """Weights to start the derived network's training from: the supernet's where they fit, else newly drawn ones."""
    from hwnas.compiler.network import compile_graph
    from hwnas.ir.passes.simplify import simplify

    graph = ground.graph(decisions)
    weights = {name: value.clone() for name, value in compile_graph(graph, seed=ground.seed).state_dict().items()}
    if relaxation.prepared.inherits:
        try:
            options = ground.space.embed(decisions)
        except HwnasError:  # repaired to what the supergraph does not hold
            return weights
        found = relaxation.prepared.network.weights_for(simplify(_at_crop(relaxation, ground, decisions)), options)
        weights.update({name: value.clone() for name, value in found.items() if name in weights})
    return weights


def _at_crop(relaxation: Relaxed, ground: Ground, decisions: Decisions) -> OpGraph:
    graph = relaxation.prepared.network.graph
    return ground.graph(decisions, graph.shape(graph.input))
