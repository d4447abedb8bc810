"""Taking part in a search that another process leads: its study says what must be known and had for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hwnas.search.strategy import Outcome, Request, Strategy
from hwnas.search.study import Study

LOOK_EVERY_S = 2.0
"""So often it is looked whether the leading process is still at work."""


class WhileLed:
    """``strategy`` as long as the search that made the study is at work; then it asks for nothing more."""

    def __init__(self, strategy: Strategy, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._strategy, self._study, self._clock = strategy, study, clock
        self._led, self._looked_at = True, -LOOK_EVERY_S

    def ask(self, count: int) -> list[Request]:
        if self._led and self._clock() - self._looked_at >= LOOK_EVERY_S:
            self._led, self._looked_at = self._study.is_led, self._clock()
        return self._strategy.ask(count) if self._led else []

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        self._strategy.tell(outcomes)

    def state(self) -> dict[str, Any]:
        return self._strategy.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._strategy.restore(state)


def wait_for_neighbours(study: Study, *, most_s: float = 600.0, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until other processes on this machine have finished what they evaluate; False if ``most_s`` did not do.

    Whoever leads a search has left it before, so that they begin nothing new. What is timed next has the cores for
    itself.
    """
    waited_s = 0.0
    while study.neighbours():
        if waited_s >= most_s:
            return False
        sleep(0.2)
        waited_s += 0.2
    return True
