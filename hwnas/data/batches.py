"""An endless stream of training batches that can be taken up again at any step.

Every step has a random generator of its own, derived from the seed and the step's number. So batch number 812 is the
same however it is reached: in one go, after ``start=812``, with or without the thread that prepares batches ahead.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from hwnas.data.cache import Arrays

if TYPE_CHECKING:
    from torch import Tensor

Batch = tuple["Tensor", "Tensor"]
"""Images (N, 3, h, w) float32 and labels (N, h, w) int64."""

Transform = Callable[[list[np.ndarray], list[np.ndarray], np.random.Generator], Batch]

_ORDER, _CHANGE = 0, 1


class Batches:
    """Iterate for ever over shuffled batches of ``indices``; a context manager, for the thread's sake.

    Each epoch shows every index once; where the batch size does not divide them, a batch runs over into the next epoch.
    ``ahead`` batches are prepared by a thread (0: none). ``step`` counts the batches taken: save it, and give it back
    as ``start`` to go on. ``share`` is (place, count) of one of several processes that take the batches in turn: it
    gets those numbered place, place + count, …; together they see what one process sees whose batches are ``count``
    times as large.
    """

    def __init__(
        self,
        arrays: Arrays,
        indices: np.ndarray,
        batch_size: int,
        transform: Transform,
        *,
        seed: int,
        start: int = 0,
        ahead: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        assert len(indices) and batch_size > 0 and 0 <= share[0] < share[1]
        self._arrays = arrays
        self._indices = np.asarray(indices)
        self._batch_size = batch_size
        self._transform = transform
        self._seed = seed
        self._place, self._count = share
        self.step = start
        self._worker = _Worker(self.batch, start, ahead) if ahead else None

    def batch(self, step: int) -> Batch:
        """The batch of this process's step ``step``, whatever was asked for before."""
        number = step * self._count + self._place
        places = np.arange(number * self._batch_size, (number + 1) * self._batch_size)
        epochs, offsets = np.divmod(places, len(self._indices))
        orders = {epoch: self._rng(_ORDER, int(epoch)).permutation(self._indices) for epoch in np.unique(epochs)}
        chosen = [int(orders[epoch][offset]) for epoch, offset in zip(epochs, offsets, strict=True)]
        images = [self._arrays.images[index] for index in chosen]
        masks = [self._arrays.masks[index] for index in chosen]
        return self._transform(images, masks, self._rng(_CHANGE, number))

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(purpose, number)))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        made = self._worker.take() if self._worker else self.batch(self.step)
        self.step += 1
        return made

    def close(self) -> None:
        """Stop the thread, if there is one."""
        if self._worker:
            self._worker.stop()

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Worker:
    """A thread that makes batches in order, at most ``ahead`` of them before they are taken."""

    def __init__(self, make: Callable[[int], Batch], start: int, ahead: int) -> None:
        self._make = make
        self._made: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(start,), name="batches", daemon=True)
        self._thread.start()

    def _run(self, step: int) -> None:
        while not self._stopped.is_set():
            try:
                made: Batch | BaseException = self._make(step)
            except Exception as error:
                made = error
            while not self._stopped.is_set():
                try:
                    self._made.put(made, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(made, BaseException):
                return
            step += 1

    def take(self) -> Batch:
        made = self._made.get()
        if isinstance(made, BaseException):
            self._made.put(made)  # so that the next call fails, too, instead of waiting for ever
            raise made
        return made

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
