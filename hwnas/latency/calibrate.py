"""Fitting the in-context terms on whole nets: ridge towards the naive sum, its strengths chosen by evidence.

Bayesian linear regression: the prior mean is the sum of the ops timed alone, every term has a normal prior whose scale
is that of its group, and the scales (and the noise) maximise the marginal likelihood of the calibration nets. With few
nets it stays near the naive sum, with many it follows them. Latencies are fitted relative to their size. An edge can
only cost: what a node saves in a net is in its own terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.latency.context import GROUPS

Floats = np.ndarray[Any, np.dtype[np.float64]]

SCALES = {"family": 0.2, "op": 0.05, "key": 0.05, "node": 0.01, "in": 0.03, "out": 0.03, "edge": 0.05, "net": 0.05}
"""Where the search for the prior scales starts: shares of the time alone, ms a node, ms a MB, ms a net."""
NOISE = 0.01
STEPS = (0.0, 0.3, 0.6, 1.7, 3.0)
ROUNDS = 4


@dataclass(frozen=True)
class Example:
    """A whole net: its measured p50, the sum of its ops timed alone, and the sums of its terms."""

    measured_ms: float
    alone_ms: float
    terms: Mapping[str, float]


@dataclass(frozen=True)
class Fit:
    """Weights of terms, the scales that were chosen, and the leave-one-out relative residual of each example."""

    weights: Mapping[str, float]
    scales: Mapping[str, float]
    noise: float
    residuals: tuple[float, ...]
    """(measured − predicted) / measured, each predicted by a fit on the others."""


def fit(examples: Sequence[Example]) -> Fit:
    """Fit the terms; needs at least one example, and says little with fewer than ten."""
    names = sorted({name for example in examples for name in example.terms})
    groups = np.array([GROUPS.index(name.split(":")[0]) for name in names])
    measured = np.array([example.measured_ms for example in examples])
    rows = np.array([[example.terms.get(name, 0.0) for name in names] for example in examples]) / measured[:, None]
    target = 1.0 - np.array([example.alone_ms for example in examples]) / measured
    kernels = np.array([rows[:, groups == i] @ rows[:, groups == i].T for i in range(len(GROUPS))])
    scales, noise = _choose_scales(kernels, target)
    priors = scales[groups] ** 2
    edges = groups == GROUPS.index("edge")
    while True:
        inverse = np.linalg.inv((rows * priors) @ rows.T + (noise**2 + 1e-9) * np.eye(len(rows)))
        alpha = inverse @ target
        weights = priors * (rows.T @ alpha)
        if not (negative := edges & (weights < 0)).any():
            break
        priors = np.where(negative, 0.0, priors)
    return Fit(
        weights={name: float(weight) for name, weight in zip(names, weights, strict=True) if abs(weight) > 1e-12},
        scales={group: float(scale) for group, scale in zip(GROUPS, scales, strict=True)},
        noise=noise,
        residuals=tuple(float(residual) for residual in alpha / np.diag(inverse)),
    )


def _choose_scales(kernels: Floats, target: Floats) -> tuple[Floats, float]:
    """Coordinate ascent on the marginal likelihood over a multiplicative grid."""
    settings = np.array([*(SCALES[group] for group in GROUPS), NOISE])
    floor = settings * 1e-3

    def score(candidate: Floats) -> float:
        return _log_evidence(_covariance(kernels, candidate[:-1], float(candidate[-1])), target)

    best = score(settings)
    for _ in range(ROUNDS):
        before = best
        for i in range(len(settings)):
            for step in STEPS:
                candidate = settings.copy()
                candidate[i] = max(settings[i] * step, floor[i])
                value = score(candidate)
                if value > best + 1e-6:
                    best, settings = value, candidate
        if best - before < 0.1:
            break
    return settings[:-1], float(settings[-1])


def _covariance(kernels: Floats, scales: Floats, noise: float) -> Floats:
    total = np.tensordot(scales**2, kernels, axes=1)
    return np.asarray(total + (noise**2 + 1e-9) * np.eye(len(total)))


def _log_evidence(covariance: Floats, target: Floats) -> float:
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return -np.inf
    half = np.linalg.solve(factor, target)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())
