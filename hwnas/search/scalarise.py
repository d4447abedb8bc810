"""How the quality of a candidate and what it costs become the one number that a search maximises.

A limit is kept whatever the form: what is over one is infeasible and has no number. A *target* is softer: costs may lie
on both sides of it. Where it is the limit itself, :class:`MnasNet` with hard exponents and :class:`Hinge` are the plain
metric again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from hwnas.errors import HwnasError


class Form(Protocol):
    """One number, to be maximised, of a quality (to be maximised, too) and costs."""

    name: ClassVar[str]

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that it reads."""

    def score(self, quality: float, values: Mapping[str, float]) -> float: ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Plain:
    """The quality itself."""

    name: ClassVar[str] = "plain"
    costs: ClassVar[tuple[str, ...]] = ()

    def score(self, quality: float, values: Mapping[str, float]) -> float:
        return quality

    def to_dict(self) -> dict[str, Any]:
        return {"form": self.name}


@dataclass(frozen=True)
class _Targets:
    """Costs with a target each, above zero and in the cost's own unit."""

    targets: Mapping[str, float] = field(hash=False)

    name: ClassVar[str]

    def __post_init__(self) -> None:
        if not self.targets:
            raise HwnasError(
                f"the objective {self.name} weighs costs against targets, and has none",
                f"give a budget or a limit, or name one: --objective {self.name}:latency_ms=10",
            )
        for cost, target in self.targets.items():
            if not (math.isfinite(target) and target > 0):
                raise HwnasError(f"the target {cost}={target:g} of the objective {self.name} is not above zero")
        object.__setattr__(self, "targets", MappingProxyType(dict(sorted(self.targets.items()))))

    @property
    def costs(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def relative(self, values: Mapping[str, float]) -> list[float]:
        """Each cost ÷ its target."""
        return [values[cost] / target for cost, target in self.targets.items()]

    def to_dict(self) -> dict[str, Any]:
        own = {name: value for name, value in vars(self).items() if name != "targets"}
        return {"form": self.name, "targets": dict(self.targets), **own}


@dataclass(frozen=True)
class MnasNet(_Targets):
    """quality × Π (cost ÷ target)^w, where w is ``within`` up to the target and ``over`` beyond it.

    Tan et al., "MnasNet", arXiv 1807.11626, equation 2: soft exponents are −0.07 on both sides (doubling the latency
    is worth 5% of accuracy), hard ones 0 within and −1 over. Qualities below zero make no sense in it.
    """

    within: float = -0.07
    over: float = -0.07

    name: ClassVar[str] = "mnasnet"

    def score(self, quality: float, values: Mapping[str, float]) -> float:
        factors = [math.pow(max(r, 1e-12), self.within if r <= 1 else self.over) for r in self.relative(values)]
        return quality * math.prod(factors)

    @classmethod
    def hard(cls, targets: Mapping[str, float]) -> MnasNet:
        """The paper's exponents for a target that is a limit: 0 and −1."""
        return cls(targets, 0.0, -1.0)


@dataclass(frozen=True)
class Hinge(_Targets):
    """quality − weight × Σ max(0, cost ÷ target − 1): what is within the targets loses nothing."""

    weight: float = 1.0

    name: ClassVar[str] = "hinge"

    def score(self, quality: float, values: Mapping[str, float]) -> float:
        return quality - self.weight * sum(max(0.0, r - 1) for r in self.relative(values))


@dataclass(frozen=True)
class Lagrangian(_Targets):
    """quality − weight × Σ (cost ÷ target − 1): the Lagrangian of "cost = target" with a fixed multiplier ``weight``.

    Unlike a hinge it rewards what is cheaper than the target. A larger multiplier moves the optimum to cheaper
    candidates; one that makes the optimum meet the targets solves the constrained problem.
    """

    weight: float = 0.1

    name: ClassVar[str] = "lagrangian"

    def score(self, quality: float, values: Mapping[str, float]) -> float:
        return quality - self.weight * sum(r - 1 for r in self.relative(values))


def make_form(name: str, targets: Mapping[str, float], options: Mapping[str, float]) -> Form:
    """``mnasnet`` (``mnasnet-soft``, ``mnasnet-hard``), ``hinge`` or ``lagrangian``; ``options`` are its weights.

    A HwnasError for another name or an option that it does not have.
    """
    makers = {
        "mnasnet": MnasNet,
        "mnasnet-soft": MnasNet,
        "mnasnet-hard": MnasNet,
        "hinge": Hinge,
        "lagrangian": Lagrangian,
    }
    if name not in makers:
        raise HwnasError(f"unknown form of objective {name!r}", f"there are: {', '.join(makers)}")
    known = ("within", "over") if makers[name] is MnasNet else ("weight",)
    for option, value in options.items():
        if option not in known:
            raise HwnasError(f"the objective {name} has no setting {option!r}", f"it has: {', '.join(known)}")
        if not math.isfinite(value):
            raise HwnasError(f"the objective {name} cannot have {option}={value}")
    hard = {"within": 0.0, "over": -1.0} if name == "mnasnet-hard" else {}
    form: Form = makers[name](targets, **{**hard, **options})
    return form
