"""A latency budget that never binds."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Free:
    """Costs nothing, keeps nothing, and expects latencies to be positive."""

    def penalty(self, expected_ms: Tensor) -> Tensor:
        return 0.0 * expected_ms

    def update(self, expected_ms: float) -> None:
        assert expected_ms > 0

    def parts(self) -> dict[str, Any]:
        return {}
