"""The range of prices in a space, and the refusal of a budget that nothing meets."""

from __future__ import annotations

import numpy as np
import pytest
from toy_space import ToySpace, price

from hwnas.errors import BudgetError
from hwnas.search.objective import Budget
from hwnas.search.satisfiable import satisfiable


def test_extremes_are_found_by_descent_from_few_samples() -> None:
    found = satisfiable(ToySpace(), price, Budget(8.0), np.random.default_rng(0), samples=20)
    assert (found.lowest, found.highest) == (1.0, 13.0)  # all 0 and all 3: one in 65,536 each
    assert found.lowest < found.median < found.highest
    assert price(found.cheapest)["latency_ms"] == 1.0
    assert 0 < found.share < 1


def test_impossible_budget_names_the_fastest() -> None:
    with pytest.raises(BudgetError, match=r"nothing in the space toy can meet 0.5 ms: the fastest is 1.00 ms"):
        satisfiable(ToySpace(), price, Budget(0.5), np.random.default_rng(0), samples=10)


def test_impossible_budget_at_p90_speaks_of_p90() -> None:
    with pytest.raises(BudgetError, match=r"can meet 1 ms at p90: the fastest is 1.50 ms"):
        satisfiable(ToySpace(), price, Budget(1.0, "p90", ratio=1.5), np.random.default_rng(0), samples=10)


def test_seed_decides() -> None:
    runs = [satisfiable(ToySpace(), price, Budget(8.0), np.random.default_rng(3), samples=50) for _ in range(2)]
    assert runs[0] == runs[1]
