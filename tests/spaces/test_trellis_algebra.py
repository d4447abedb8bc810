"""The algebra of paths: against listing them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hwnas.spaces.trellis import (
    all_paths,
    legal_steps,
    normalised,
    path_probabilities,
    paths,
    place_probabilities,
    viterbi,
)

LAYERS, LEVELS = 12, 4


def random_beta(seed: int, layers: int = LAYERS, sharpness: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(sharpness * rng.normal(size=(layers - 1, LEVELS, 3)))


def test_viterbi_is_the_best_of_all_28657_paths_for_200_random_beta() -> None:
    every = all_paths(LAYERS, LEVELS)
    assert every.shape == (28_657, LAYERS)
    for seed in range(200):
        steps = normalised(random_beta(seed, sharpness=1 + seed % 3)).numpy()
        chances = path_probabilities(steps, every)
        second, first = np.argsort(chances)[-2:]
        found = viterbi(steps)
        assert found.path == tuple(every[first])
        assert found.second == tuple(every[second])
        assert found.probability == pytest.approx(chances[first], rel=1e-12)
        assert found.gap == pytest.approx(chances[first] / chances[second], rel=1e-9)


def test_all_paths_together_have_probability_one() -> None:
    steps = normalised(random_beta(0)).numpy()
    assert path_probabilities(steps, all_paths(LAYERS, LEVELS)).sum() == pytest.approx(1, abs=1e-12)


def test_what_leaves_a_place_sums_to_one_and_illegal_steps_are_excluded() -> None:
    steps = normalised(random_beta(1)).numpy()
    legal = legal_steps(LAYERS, LEVELS)
    assert (steps[~legal] == 0).all()
    visited = legal.any(axis=-1)
    np.testing.assert_allclose(steps.sum(axis=-1)[visited], 1)
    taken = {
        (layer, a, b)
        for path in all_paths(LAYERS, LEVELS).tolist()
        for layer, (a, b) in enumerate(itertools.pairwise(path))
    }
    assert {(layer, level, level + step - 1) for layer, level, step in np.argwhere(legal).tolist()} == taken


def test_places_are_visited_as_often_as_paths_visit_them() -> None:
    steps, every = normalised(random_beta(2, layers=7)).numpy(), all_paths(7, LEVELS)
    chances = path_probabilities(steps, every)
    expected = [[chances[every[:, layer] == level].sum() for level in range(LEVELS)] for layer in range(7)]
    np.testing.assert_allclose(place_probabilities(steps), expected, atol=1e-12)


def test_the_probability_of_a_path_has_a_gradient_in_beta() -> None:
    every = all_paths(5, LEVELS)
    beta = random_beta(3, layers=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda beta: path_probabilities(normalised(beta), every), beta)


def test_a_forced_path_is_decoded_and_has_no_rival() -> None:
    wanted = (0, 1, 2, 3, 2, 1, 1)
    beta = torch.full((6, LEVELS, 3), -torch.inf, dtype=torch.float64)
    for layer in range(6):
        for level in range(LEVELS):
            beta[layer, level, 1] = 0.0
        beta[layer, wanted[layer]] = -torch.inf
        beta[layer, wanted[layer], wanted[layer + 1] - wanted[layer] + 1] = 0.0
    found = viterbi(np.nan_to_num(normalised(beta).numpy()))
    assert found.path == wanted and found.probability == 1.0 and found.gap == np.inf


def test_a_tie_goes_to_the_lower_levels() -> None:
    steps = normalised(torch.zeros(2, LEVELS, 3, dtype=torch.float64)).numpy()
    assert viterbi(steps).path == (0, 0, 0)
    assert paths(2, 0, LEVELS) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
