"""The supernet against a transcription of DARTS's paper in plain PyTorch: the same losses, step after step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_steps_of_both_have_the_same_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from darts_step import with_weights_of
    from plain_darts import PlainDarts, PlainStep

    torch.manual_seed(0)
    plain = PlainDarts(channels=4, layers=3, classes=10)
    ours, theirs = with_weights_of(plain, 4, 3, 16), PlainStep(plain)
    train, val = ((torch.randn(4, 3, 16, 16), torch.randint(10, (4,))) for _ in range(2))
    for _ in range(2):
        assert ours(train, val) == pytest.approx(theirs(train, val), rel=2e-4)
    for role, alpha in zip(("normal", "reduce"), plain.alphas, strict=True):
        vectors = [vector for name, vector in ours.logits.tensors.items() if name.startswith(role)]
        torch.testing.assert_close(torch.stack(vectors), alpha, rtol=0, atol=2e-4)
