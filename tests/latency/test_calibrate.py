"""Fitting: made-up nets whose terms are known."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.latency.calibrate import Example, fit


def made_up(count, rng, noise=0.003):
    """Convolutions cost 0.8 of their time alone, resizes 1.5, and an edge between them 0.1 ms a MB."""
    examples = []
    for _ in range(count):
        conv, resize, edge = rng.uniform(2, 20), rng.uniform(0.5, 4), rng.uniform(0, 8)
        measured = (0.8 * conv + 1.5 * resize + 0.1 * edge) * (1 + noise * rng.standard_normal())
        terms = {"family:conv": conv, "family:resize": resize, "edge:conv>resize": edge, "net:": 1.0}
        examples.append(Example(measured, conv + resize, terms))
    return examples


def error(fitted, examples):
    predicted = [e.alone_ms + sum(fitted.weights.get(n, 0) * v for n, v in e.terms.items()) for e in examples]
    return np.mean([abs(p / e.measured_ms - 1) for p, e in zip(predicted, examples, strict=True)])


def test_terms_are_recovered():
    rng = np.random.default_rng(0)
    fitted = fit(made_up(40, rng))
    assert fitted.weights["family:conv"] == pytest.approx(-0.2, abs=0.02)
    assert fitted.weights["family:resize"] == pytest.approx(0.5, abs=0.05)
    assert fitted.weights["edge:conv>resize"] == pytest.approx(0.1, abs=0.02)
    assert error(fitted, made_up(50, rng, noise=0.0)) < 0.005


def test_few_nets_stay_near_the_plain_sum():
    rng = np.random.default_rng(1)
    fitted = fit(made_up(1, rng))
    assert all(abs(weight) < 0.5 for weight in fitted.weights.values())


def test_leave_one_out_residuals_are_those_of_refitting():
    examples = made_up(12, np.random.default_rng(2), noise=0.02)
    fitted = fit(examples)
    assert len(fitted.residuals) == 12
    assert 0.002 < np.std(fitted.residuals) < 0.06
