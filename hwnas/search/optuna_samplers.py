"""Optuna's samplers as strategies: ``tpe``, ``nsga2``, ``nsga3``, ``gp``.

Each has a small study of its own in memory, which holds nothing but what it was told; the study of the search is never
asked. A fresh sampler, seeded by the search's seed and the request's number, draws each request from that study. So the
future is a function of the seed and of what was told, and a state is exactly that: restoring tells it again.

A draw that is over a limit or was proposed before is drawn again; after some draws the nearest one is walked to the
budget by single mutations. Samplers learn from what was evaluated within the limits: failures and what turned out to be
infeasible they never see.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.optional import require
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.shapes import Value
from hwnas.spaces.base import Choice, Decisions
from hwnas.spaces.decisions import canonical, is_active

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial


@dataclass(frozen=True)
class Kind:
    """How one of Optuna's samplers is used."""

    make: Callable[[int], BaseSampler]
    """Seed → sampler."""
    draws: int
    """Draws for a request before one is walked to the budget; few where one is dear."""
    complete: bool
    """Every choice gets an option, also an inactive one: for samplers that need the same parameters in all trials."""
    generation: int | None = None
    """Size of a generation, of samplers that have generations."""


@dataclass(frozen=True)
class Told:
    """What is kept of an outcome: all that the sampler sees of it."""

    decisions: Decisions = field(hash=False)
    vector: tuple[float, ...]


class OptunaStrategy:
    """Asks one of Optuna's samplers."""

    def __init__(self, problem: Problem, seed: int, kind: Kind) -> None:
        self._proposer = Proposer(problem, seed)
        self._kind = kind
        self._told: list[Told] = []
        self._study = self._new_study()

    def ask(self, count: int) -> list[Request]:
        return self._proposer.requests(count, self._draw)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._proposer.hear(outcome.request)
            vector = self._proposer.problem.objective.vector(outcome)
            if vector is not None:
                self._learn(Told(dict(outcome.request.decisions), vector))

    def state(self) -> dict[str, Any]:
        return {
            **self._proposer.state(),
            "told": [{"decisions": dict(told.decisions), "vector": list(told.vector)} for told in self._told],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._told, self._study = [], self._new_study()
        for told in state["told"]:
            self._learn(Told(decisions_from_json(told["decisions"]), tuple(told["vector"])))

    @property
    def _choices(self) -> Sequence[Choice]:
        return self._proposer.problem.space.choices

    def _new_study(self) -> Study:
        import optuna

        with quiet():
            return optuna.create_study(directions=["maximize"] * len(self._proposer.problem.objective.metrics))

    def _draw(self, rng: np.random.Generator) -> dict[str, Value] | None:
        """The first draw that is new and within the limits, or what the nearest one is walked to."""
        space = self._proposer.problem.space
        nearest: tuple[float, Decisions] | None = None
        for _ in range(self._kind.draws):
            drawn = canonical(space, self._sampled(rng))
            if (accepted := self._proposer.accept(drawn)) is not None:
                return accepted
            excess = self._proposer.excess(drawn)
            if nearest is None or excess < nearest[0]:
                nearest = (excess, drawn)
        walked = self._proposer.walk(nearest, rng) if nearest is not None else None
        return walked if walked is not None else self._proposer.sample(rng)

    def _sampled(self, rng: np.random.Generator) -> dict[str, Value]:
        """One draw of the sampler; the trial that Optuna makes of it is closed without a value."""
        from optuna.trial import TrialState

        with quiet():
            self._study.sampler = self._kind.make(int(rng.integers(2**31)))
            trial = self._study.ask()
            drawn = self._suggested(trial)
            self._study.tell(trial, state=TrialState.FAIL)
        return drawn

    def _suggested(self, trial: Trial) -> dict[str, Value]:
        drawn: dict[str, Value] = {}
        for choice in self._choices:
            if self._kind.complete or is_active(choice, drawn):
                drawn[choice.name] = choice.options[_suggest(trial, choice)]
        return drawn

    def _learn(self, told: Told) -> None:
        """Show the sampler one more trial."""
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution

        self._told.append(told)
        row = {choice.name: choice.options.index(told.decisions[choice.name]) for choice in self._active(told)}
        if self._kind.complete:  # genes that change nothing
            rng = np.random.default_rng([self._proposer.seed, len(self._told), 1])
            row = {c.name: row.get(c.name, int(rng.integers(len(c.options)))) for c in self._choices}
        row = {name: index for name, index in row.items() if len(self._options[name]) > 1}
        distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(self._options[name]) for name in row
        }
        with quiet():
            trial = optuna.trial.create_trial(
                params=row,
                distributions=distributions,
                values=list(told.vector),
                system_attrs=self._generation(len(self._told) - 1),
            )
            self._study.add_trial(trial)
            if self._kind.generation is not None and len(self._told) % self._kind.generation == 0:
                self._choose_parents(len(self._told) // self._kind.generation)

    def _generation(self, place: int) -> dict[str, Any]:
        """The note by which genetic samplers know a trial's generation; ``place`` is among those told."""
        if self._kind.generation is None:
            return {}
        return {self._kind.make(0)._get_generation_key(): place // self._kind.generation}  # type: ignore[attr-defined]

    def _choose_parents(self, generation: int) -> None:
        """Parents are chosen as soon as the generation before is complete, by randomness of its own, and are kept in
        Optuna's study: whatever is asked or told next finds the same ones."""
        from optuna.trial import TrialState

        self._study.tell(self._study.ask(), state=TrialState.FAIL)  # an ask makes Optuna read its trials anew
        seed = np.random.default_rng([self._proposer.seed, generation, 2]).integers(2**31)
        self._kind.make(int(seed)).get_parent_population(self._study, generation)  # type: ignore[attr-defined]

    def _active(self, told: Told) -> list[Choice]:
        return [choice for choice in self._choices if choice.name in told.decisions]

    @property
    def _options(self) -> Mapping[str, range]:
        return {choice.name: range(len(choice.options)) for choice in self._choices}


def _suggest(trial: Trial, choice: Choice) -> int:
    """An option's place; Optuna's categories are numbers, text and None, ours may be tuples."""
    if len(choice.options) == 1:
        return 0
    return int(trial.suggest_categorical(choice.name, range(len(choice.options))))


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its announcements and its warnings that a sampler is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def tpe(
    problem: Problem, *, seed: int, startup: int = 16, candidates: int = 24, multivariate: bool = True
) -> OptunaStrategy:
    """Tree-structured Parzen estimators (Bergstra et al., NeurIPS 2011), joint over choices that are active together
    if ``multivariate``, else one a choice, which takes longer.

    The first ``startup`` requests are random; later ones are the best of ``candidates``.
    """
    _at_least("tpe", startup=(startup, 1), candidates=(candidates, 1))

    def make(seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=multivariate,
            group=multivariate,
            constant_liar=False,
            seed=seed,
        )

    return OptunaStrategy(problem, seed, Kind(make, draws=8, complete=False))


def nsga2(
    problem: Problem, *, seed: int, population: int = 24, crossover: float = 0.9, swapping: float = 0.5
) -> OptunaStrategy:
    """NSGA-II (Deb et al., 2002): generations of ``population``, uniform crossover, non-dominated sorting."""
    _at_least("nsga2", population=(population, 2))
    _shares("nsga2", crossover=crossover, swapping=swapping)

    def make(seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(population_size=population, crossover_prob=crossover, swapping_prob=swapping, seed=seed)

    return OptunaStrategy(problem, seed, Kind(make, draws=48, complete=True, generation=population))


def nsga3(
    problem: Problem, *, seed: int, population: int = 24, crossover: float = 0.9, swapping: float = 0.5
) -> OptunaStrategy:
    """NSGA-III (Deb and Jain, 2014): as NSGA-II, spread by reference directions; for three metrics and more."""
    _at_least("nsga3", population=(population, 2))
    _shares("nsga3", crossover=crossover, swapping=swapping)

    def make(seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIIISampler

        return NSGAIIISampler(population_size=population, crossover_prob=crossover, swapping_prob=swapping, seed=seed)

    return OptunaStrategy(problem, seed, Kind(make, draws=48, complete=True, generation=population))


def gp(problem: Problem, *, seed: int, startup: int = 16) -> OptunaStrategy:
    """Bayesian optimisation with a Gaussian process (log expected improvement); dear beyond some hundred trials."""
    _at_least("gp", startup=(startup, 1))
    require("scipy", extra="gp")

    def make(seed: int) -> BaseSampler:
        from optuna.samplers import GPSampler

        return GPSampler(n_startup_trials=startup, seed=seed)

    return OptunaStrategy(problem, seed, Kind(make, draws=1, complete=True))


gp.refuses = one_number  # type: ignore[attr-defined]


def _at_least(name: str, **least: tuple[int, int]) -> None:
    for option, (value, lowest) in least.items():
        if value < lowest:
            raise HwnasError(f"{name} cannot run with {option} {value}", f"it needs at least {lowest}")


def _shares(name: str, **shares: float) -> None:
    for option, value in shares.items():
        if not 0 <= value <= 1:
            raise HwnasError(f"{name} cannot run with {option} {value:g}", "it is a probability, from 0 to 1")


STRATEGIES.register("tpe", tpe)
STRATEGIES.register("nsga2", nsga2)
STRATEGIES.register("nsga3", nsga3)
STRATEGIES.register("gp", gp)
