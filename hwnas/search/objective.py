"""What a search is after: the best value of a metric, or of several at once, under hard limits on others.

A limit on a cost is an upper one, on a quality (:data:`QUALITIES`) a lower one. Beyond a limit is infeasible, not
merely worse. A limit on a metric that was not measured is an error, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from hwnas.errors import BudgetError, HwnasError
from hwnas.search.scalarise import Form, Plain

if TYPE_CHECKING:
    from hwnas.search.strategy import Outcome

Direction = Literal["max", "min"]

PERCENTILES = ("p50", "p90", "p99")

MIOU, INT8_MIOU = "miou", "miou_int8"
QUALITIES = (MIOU, INT8_MIOU)
"""What evaluators measure, from 0 to 1: mean IoU on held-out images, in float and as quantized to eight bits."""


@dataclass(frozen=True)
class Budget:
    """At most ``latency_ms`` at a percentile of the latency of the deployed artifact.

    Tables predict the median, so a budget at another percentile binds through ``ratio``: that percentile ÷ p50, as
    measured on calibration nets. Predictions err, so a budget may bind the upper end of the interval that holds the
    median with ``confidence``, through ``upper``: that end ÷ the prediction, as seen on nets that the table predicted
    unseen.
    """

    latency_ms: float
    at: str = "p50"
    ratio: float | None = None
    confidence: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise BudgetError(f"a budget of {self.latency_ms:g} ms cannot be met", "give one above zero: --budget 10ms")
        if self.at not in PERCENTILES:
            raise BudgetError(f"a budget at {self.at!r} is not known", f"it can bind {', '.join(PERCENTILES)}")
        if self.ratio is not None and not (math.isfinite(self.ratio) and self.ratio > 0):
            raise BudgetError(f"{self.at} / p50 was measured as {self.ratio}, which cannot be")
        if self.confidence is not None:
            check_confidence(self.confidence)
            if self.upper is None or not (math.isfinite(self.upper) and self.upper >= 1):
                raise BudgetError(f"the upper end of a prediction's interval is {self.upper} times it, which cannot be")

    @property
    def p50_ms(self) -> float:
        """The limit on the predicted median; a BudgetError if the ratio it takes was not measured."""
        limit_ms = self.latency_ms if self.confidence is None or self.upper is None else self.latency_ms / self.upper
        if self.at == "p50":
            return limit_ms
        if self.ratio is None:
            raise BudgetError(
                f"a budget at {self.at} needs the ratio of {self.at} to p50, which was not measured",
                "profile again with calibration nets, or use --budget-at p50",
            )
        return limit_ms / self.ratio

    def __str__(self) -> str:
        surely = "" if self.confidence is None else f" with a confidence of {self.confidence:g}"
        return f"{self.latency_ms:g} ms" + ("" if self.at == "p50" else f" at {self.at}") + surely


def check_confidence(confidence: float) -> None:
    """Refuse, with a BudgetError, what is no share of nets strictly between none and all."""
    if not 0 < confidence < 1:
        raise BudgetError(f"a confidence of {confidence:g} is not between 0 and 1", "write it like --confidence 0.9")


def direction_of(metric: str) -> Direction:
    """Costs (``latency_ms``, ``latency_ms@jetson``, ``params``, …) are to be low; all else is to be high."""
    from hwnas.latency.costs.base import COSTS

    return "min" if metric.partition("@")[0] in COSTS else "max"


def excess_of(metric: str, value: float, limit: float) -> float:
    """How far ``value`` is beyond ``limit``, relatively; ≤ 0 is within, NaN infinitely far beyond."""
    over = 1 - value / limit if metric in QUALITIES else value / limit - 1
    return math.inf if math.isnan(over) else over


@dataclass(frozen=True)
class Objective:
    """The best ``metric`` while every metric in ``limits`` stays at or below its limit, or above if it is a quality.

    With ``also``, several at once: what counts is the Pareto front over :attr:`metrics`, by :meth:`vector`, and
    ``metric`` is the first of them. ``form`` makes one number of the metric and its costs; see
    :mod:`hwnas.search.scalarise`. A second device has a table and a cost of its own, ``latency_ms@NAME``.
    """

    metric: str = MIOU
    limits: Mapping[str, float] = field(default_factory=dict, hash=False)
    also: tuple[str, ...] = ()
    form: Form = field(default_factory=Plain, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", MappingProxyType({name: self.limits[name] for name in sorted(self.limits)}))
        for name, limit in self.limits.items():
            if not (math.isfinite(limit) and limit > 0):
                raise BudgetError(f"the limit {name} ≤ {limit:g} cannot be kept", "give limits above zero")
            if name in QUALITIES and limit > 1:
                raise BudgetError(f"no network has a {name} of {limit:g}", "it is at most 1: write it like 0.45")
        if len(set(self.metrics)) != 1 + len(self.also):
            raise HwnasError("an objective names a metric twice", "name each once: --objective miou,latency_ms")
        if self.also and self.form.costs:
            raise HwnasError(
                "an objective is either several metrics or one number made of them",
                "leave out the form, or all metrics but the first",
            )
        if self.form.costs and direction_of(self.metric) == "min":
            raise HwnasError(f"the objective {self.form.name} weighs a quality against costs; {self.metric} is a cost")

    @property
    def metrics(self) -> Mapping[str, Direction]:
        """What is to be best, with its direction, the first first."""
        return {name: direction_of(name) for name in (self.metric, *self.also)}

    @property
    def needs(self) -> tuple[str, ...]:
        """Every metric that an outcome must have, each once."""
        return tuple(dict.fromkeys((*self.metrics, *self.limits, *self.form.costs)))

    @property
    def qualities(self) -> tuple[str, ...]:
        """What of it an evaluator must measure, beside the costs that are known before."""
        return tuple(name for name in self.needs if name in QUALITIES)

    @classmethod
    def under(cls, budget: Budget, metric: str = MIOU) -> Objective:
        """The best ``metric`` whose predicted median latency meets ``budget``."""
        return cls(metric, {"latency_ms": budget.p50_ms})

    def excess(self, costs: Mapping[str, float]) -> float:
        """How far the worst of the limits that ``costs`` speaks of is exceeded, relatively; ≤ 0 is within.

        Costs known before an evaluation may be only some of the limited metrics: this is the filter before training.
        :meth:`judge` insists on all of them.
        """
        over = (excess_of(name, costs[name], limit) for name, limit in self.limits.items() if name in costs)
        return max(over, default=-1.0)

    def judge(self, outcome: Outcome) -> Outcome:
        """``outcome`` with its status settled: NaN is ``failed``, beyond a limit is ``infeasible``.

        A metric of the objective that an evaluator left out is a HwnasError: nothing can be concluded without it.
        """
        if outcome.status != "ok":
            return outcome
        for name in self.needs:
            if name not in outcome.values:
                known = ", ".join(sorted(outcome.values)) or "nothing"
                raise HwnasError(f"the objective needs {name!r}, which was not measured", f"what was measured: {known}")
            if not math.isfinite(outcome.values[name]):
                return replace(outcome, status="failed", note=f"{name} is {outcome.values[name]}")
        for name, limit in self.limits.items():
            if excess_of(name, outcome.values[name], limit) > 0:
                side = "under" if name in QUALITIES else "over"
                note = f"{name} {outcome.values[name]:.4g} is {side} {limit:.4g}"
                return replace(outcome, status="infeasible", note=note)
        return outcome

    def score(self, outcome: Outcome) -> float | None:
        """The one value to maximise, or None for what failed or is infeasible; of several metrics that of the first."""
        if outcome.status != "ok":
            return None
        quality = float(outcome.values[self.metric])
        return self.form.score(quality if direction_of(self.metric) == "max" else -quality, outcome.values)

    def vector(self, outcome: Outcome) -> tuple[float, ...] | None:
        """Every metric so that higher is better (costs negated), in the order of :attr:`metrics`; None as in score.

        Of a single metric it is its score alone.
        """
        if outcome.status != "ok":
            return None
        if not self.also:
            return (self._certain_score(outcome),)
        return tuple(
            float(outcome.values[name]) if direction == "max" else -float(outcome.values[name])
            for name, direction in self.metrics.items()
        )

    def _certain_score(self, outcome: Outcome) -> float:
        score = self.score(outcome)
        assert score is not None
        return score

    def to_dict(self) -> dict[str, Any]:
        """All that decides it, as JSON; two searches with different ones are different searches."""
        return {"metrics": dict(self.metrics), "limits": dict(self.limits), **self.form.to_dict()}
