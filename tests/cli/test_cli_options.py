"""Texts on the command line become values, or one clear error."""

from __future__ import annotations

import pytest

from hwnas.cli.options import parse_budget_ms, parse_share
from hwnas.errors import BudgetError, HwnasError


@pytest.mark.parametrize(
    ("text", "latency_ms"),
    [("10ms", 10), ("10", 10), ("2.5 ms", 2.5), ("0.01s", 10), ("100fps", 10), ("1e1MS", 10), ("25FPS", 40)],
)
def test_budget_units(text: str, latency_ms: float) -> None:
    assert parse_budget_ms(text) == pytest.approx(latency_ms)


@pytest.mark.parametrize("text", ["0", "0ms", "-3ms", "0fps", "-0.0"])
def test_budget_must_be_positive(text: str) -> None:
    with pytest.raises(BudgetError, match="not positive"):
        parse_budget_ms(text)


@pytest.mark.parametrize("text", ["", "fast", "10 minutes", "nan", "inf", "1e", "ms", "1e999", "--"])
def test_budget_must_be_a_latency(text: str) -> None:
    with pytest.raises(BudgetError, match="not a latency"):
        parse_budget_ms(text)


def test_errors_name_the_option() -> None:
    with pytest.raises(BudgetError, match="--max-p99 'abc' is not a latency"):
        parse_budget_ms("abc", "--max-p99")
    with pytest.raises(HwnasError, match="--max-missed '-1%' is not a share"):
        parse_share("-1%", "--max-missed", most=1.0)


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("100%", 1.0), ("1", 1.0), ("0", 0.0)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text, "--max-missed", most=1.0) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "101%"])
def test_more_than_all_is_no_share(text: str) -> None:
    with pytest.raises(HwnasError, match="100% is all"):
        parse_share(text, "--max-missed", most=1.0)
