"""Fitting the in-context terms on whole nets: ridge towards the naive sum, its strengths chosen by evidence.

Bayesian linear regression: the prior mean is the sum of the ops timed alone, every term has a normal prior whose scale
is that of its group, and the scales (and the noise) maximise the marginal likelihood of the calibration nets (MacKay
1992). With few nets it stays near the naive sum, with many it follows them. Latencies are fitted relative to their
size. Three things keep the nodes' parts of a net plausible, and not only their sum:

- what an op pays alone only (``node``, ``bytes``) can only be saved in a net, an edge or the net itself can only cost;
- a node whose terms would take it out of its bounds (see ``context.py``) is held there, and the others are fitted anew;
- nets that a busy machine made slow are weighed down (Student's t by reweighting), so that no op has to explain them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.latency.context import GROUPS, Edge, edge_terms, own_ms, own_terms
from hwnas.latency.keys import LatencyKey

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SCALES = {
    "all": 0.1,
    "family": 0.1,
    "op": 0.05,
    "key": 0.03,
    "node": 0.01,
    "bytes": 0.05,
    "in": 0.05,
    "out": 0.05,
    "edge": 0.03,
    "net": 0.05,
}
"""Where the search for the prior scales starts: shares of the time alone, ms a node, ms a MB, ms a net."""
SIGNS = {"node": -1, "bytes": -1, "edge": 1, "net": 1}
"""Groups whose weights have one sign."""
NOISE = 0.03
LEAST_SCALE, LEAST_NOISE = 1e-5, 2e-3
GREATEST = {"net": 0.1}
"""Ends of the search for the scales; 1 for the other groups. Starting a run costs an engine microseconds: what nets
have in common beyond that is in their nodes."""
STEPS = (0.01, 0.3, 0.6, 0.8, 1.25, 1.7, 3.0, 10.0)
ROUNDS = 12
REFITS = 8
FREEDOM = 4.0
"""Degrees of freedom of the noise: few, so that a net that is far off counts little."""


@dataclass(frozen=True)
class Example:
    """A whole net: its measured p50, the keys of its nodes with their times alone (ms), and its edges."""

    measured_ms: float
    nodes: tuple[tuple[LatencyKey, float], ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Fit:
    """Weights of terms, the scales that were chosen, and the leave-one-out relative residual of each example."""

    weights: Mapping[str, float]
    scales: Mapping[str, float]
    noise: float
    residuals: tuple[float, ...]
    """(measured − predicted) / measured, each predicted by a fit on the others."""


@dataclass(frozen=True)
class _Design:
    """The examples as matrices. ``nodes`` is how often each key is in each net, (nets, keys); ``own`` are the keys'
    terms and ``rest`` the sums of the nets' other terms, (…, terms)."""

    keys: tuple[LatencyKey, ...]
    names: tuple[str, ...]
    groups: Ints
    measured: Floats
    alone: Floats
    nodes: Floats
    own: Floats
    rest: Floats

    def rows(self, held: Floats) -> tuple[Floats, Floats]:
        """The terms of each net and what they have to explain, relative to its latency; ``held`` keys are constants."""
        free = np.isnan(held)
        rows = (self.nodes[:, free] @ self.own[free] + self.rest) / self.measured[:, None]
        known = self.nodes @ np.where(free, self.alone, held)
        return rows, 1.0 - known / self.measured


@dataclass(frozen=True)
class _Solution:
    weights: Floats
    scales: Floats
    noise: float
    residuals: Floats
    unseen: Floats
    """Residuals of each net by a fit on the others."""


def fit(examples: Sequence[Example]) -> Fit:
    """Fit the terms; needs at least one example, and says little with fewer than ten."""
    design = _design(examples)
    trust, held = np.ones(len(examples)), np.full(len(design.keys), np.nan)
    settings: Floats | None = None
    for step in range(REFITS):
        rows, target = design.rows(held)
        if step in (0, 2):
            settings = _choose_scales(_kernels(rows, design.groups), target, trust)
        assert settings is not None
        solution = _solve(rows, target, design.groups, settings, trust)
        before = trust, held
        trust, held = _trust(solution.residuals), _held(design, solution.weights)
        if np.allclose(trust, before[0], atol=0.02) and np.array_equal(held, before[1], equal_nan=True):
            break
    pairs = zip(design.names, solution.weights, strict=True)
    return Fit(
        weights={name: float(weight) for name, weight in pairs if abs(weight) > 1e-12},
        scales={group: float(scale) for group, scale in zip(GROUPS, solution.scales, strict=True)},
        noise=solution.noise,
        residuals=tuple(map(float, solution.unseen)),
    )


def _design(examples: Sequence[Example]) -> _Design:
    alone = {key: ms for example in examples for key, ms in example.nodes}
    own = [own_terms(key, ms) for key, ms in alone.items()]
    rest = [_sum([{"net:": 1.0}, *map(edge_terms, example.edges)]) for example in examples]
    names = sorted({name for terms in (*own, *rest) for name in terms})
    places = {key: i for i, key in enumerate(alone)}
    nodes = np.zeros((len(examples), len(alone)))
    for row, example in zip(nodes, examples, strict=True):
        for key, _ in example.nodes:
            row[places[key]] += 1.0
    return _Design(
        keys=tuple(alone),
        names=tuple(names),
        groups=np.array([GROUPS.index(name.split(":")[0]) for name in names]),
        measured=np.array([example.measured_ms for example in examples]),
        alone=np.array(list(alone.values())),
        nodes=nodes,
        own=_matrix(own, names),
        rest=_matrix(rest, names),
    )


def _sum(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total


def _matrix(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    return np.array([[terms.get(name, 0.0) for name in names] for terms in rows]).reshape(len(rows), len(names))


def _kernels(rows: Floats, groups: Ints) -> Floats:
    """The covariance of the nets that each group of terms makes at scale 1, (groups, nets, nets)."""
    return np.array([rows[:, groups == i] @ rows[:, groups == i].T for i in range(len(GROUPS))])


def _solve(rows: Floats, target: Floats, groups: Ints, settings: Floats, trust: Floats) -> _Solution:
    """The most probable weights; those that would have the wrong sign are zero."""
    signs = np.array([SIGNS.get(group, 0) for group in GROUPS])[groups]
    priors = settings[:-1][groups] ** 2
    while True:
        inverse = np.linalg.inv((rows * priors) @ rows.T + _noise(settings, trust))
        alpha = inverse @ target
        weights = priors * (rows.T @ alpha)
        if not (wrong := signs * weights < 0).any():
            break
        priors = np.where(wrong, 0.0, priors)
    return _Solution(weights, settings[:-1], float(settings[-1]), target - rows @ weights, alpha / np.diag(inverse))


def _trust(residuals: Floats) -> Floats:
    """How much each net counts: Student's t, with the scale taken from the median so that outliers do not widen it."""
    scale = max(1.4826 * float(np.median(np.abs(residuals))), 1e-4)
    return np.minimum(1.0, (FREEDOM + 1) / (FREEDOM + np.square(residuals / scale)))


def _held(design: _Design, weights: Floats) -> Floats:
    """The latency of keys whose terms take them out of their bounds, NaN for the others."""
    named = dict(zip(design.names, weights, strict=True))
    bounded = np.array([own_ms(key, ms, named) for key, ms in zip(design.keys, design.alone, strict=True)])
    free = np.abs(bounded - design.alone - design.own @ weights) <= 1e-9 * design.alone
    return np.where(free, np.nan, bounded)


def _choose_scales(kernels: Floats, target: Floats, trust: Floats) -> Floats:
    """Coordinate ascent on the marginal likelihood over a multiplicative grid: the groups' scales, then the noise.

    The likelihood has several maxima. So it is climbed from two starts: one that lets the terms explain much, one that
    takes all for noise.
    """
    usual = np.array([*(SCALES[group] for group in GROUPS), NOISE])
    doubtful = np.array([*usual[:-1] * 0.1, max(float(target.std()), NOISE)])
    climbed = [_climb(kernels, target, trust, start) for start in (usual, doubtful)]
    return max(climbed, key=lambda pair: pair[0])[1]


def _climb(kernels: Floats, target: Floats, trust: Floats, settings: Floats) -> tuple[float, Floats]:
    least = np.array([*[LEAST_SCALE] * len(GROUPS), LEAST_NOISE])
    greatest = np.array([*(GREATEST.get(group, 1.0) for group in GROUPS), 1.0])

    def score(candidate: Floats) -> float:
        return _log_evidence(np.tensordot(candidate[:-1] ** 2, kernels, axes=1) + _noise(candidate, trust), target)

    best = score(settings)
    for _ in range(ROUNDS):
        before = best
        for i in range(len(settings)):
            for step in STEPS:
                candidate = settings.copy()
                candidate[i] = np.clip(settings[i] * step, least[i], greatest[i])
                value = score(candidate)
                if value > best + 1e-6:
                    best, settings = value, candidate
        if best - before < 0.05:
            break
    return best, settings


def _noise(settings: Floats, trust: Floats) -> Floats:
    """The covariance of the measurements' relative errors."""
    return np.diag((settings[-1] ** 2 + 1e-9) / trust)


def _log_evidence(covariance: Floats, target: Floats) -> float:
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return -np.inf
    half = np.linalg.solve(factor, target)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())
