"""Evaluations by Ray's actors, on this machine or on a cluster: each holds its evaluator (a supernet's weights, the
images) once and serves one candidate at a time.

A worker that dies (killed, out of memory, its machine gone) is replaced, and the trial that it had is handed back as
lost; the search loop decides what becomes of it. Ray moves requests and outcomes as plain dictionaries and an
evaluator's recipe by pickling it between its own processes; nothing pickled is ever written to a file of ours.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import ModuleType
from typing import Any

from hwnas.cores import usable_cores
from hwnas.errors import HwnasError, RunError
from hwnas.optional import require
from hwnas.progress import Progress, Silent
from hwnas.search.executor import Done, evaluated, out_of_time
from hwnas.search.strategy import Evaluator, Outcome, Request
from hwnas.search.trial import Trial

MakeEvaluator = Callable[[], Evaluator]
"""Makes the evaluator in a worker's process; a function, or an object of a class, that a module there can import."""

OBJECT_STORE_BYTES = 100 * 2**20
"""Requests and outcomes are some kilobytes, and Ray's default is a third of the machine's memory."""

GRACE_S = 10.0
"""A worker ends an evaluation that takes too long by itself; one that has not after so much more is ended."""

ENDING_S = 15.0
"""So long a worker that was told to end is waited for."""

FAILED_STARTS = 3
"""So many workers in a row that end before they are ready say that no other will be."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""A Ray that we start reports nothing to anybody, and leaves the visible GPUs of workers without one alone."""


@dataclass(frozen=True)
class Placement:
    """What each worker takes of the machine that it is on. ``threads`` bounds torch's; it computes on no more."""

    cpus: float = 1.0
    gpus: float = 0.0
    threads: int = 1


@contextmanager
def ray_workers(
    make: MakeEvaluator,
    count: int,
    *,
    address: str | None = None,
    placement: Placement | None = None,
    limit_s: float | None = None,
    progress: Progress | None = None,
) -> Iterator[RayExecutor]:
    """``count`` workers on the cluster at ``address``, or on a Ray of our own on this machine; all are gone afterwards.

    A Ray that this program has started already is used, and left running. ``limit_s`` bounds one evaluation: a
    candidate that takes longer is ``failed``. MissingPackage without Ray; HwnasError if the workers cannot fit here, or
    nothing answers at ``address``; RunError if no worker can be started.
    """
    placement = placement or Placement()
    ray = require("ray", extra="ray")
    with _connected(ray, address, count, placement):
        executor = RayExecutor(ray, make, count, placement, limit_s, progress or Silent())
        try:
            executor.wait_until_ready()
            yield executor
        finally:
            executor.close()


class RayExecutor:
    """An executor over actors of a Ray that is connected. Made by :func:`ray_workers`."""

    def __init__(
        self,
        ray: ModuleType,
        make: MakeEvaluator,
        count: int,
        placement: Placement,
        limit_s: float | None,
        progress: Progress,
    ) -> None:
        self._ray = ray
        self._placement = placement
        self._limit_s = limit_s
        self._progress = progress
        self._worker = ray.remote(Worker)
        self._made_of = ray.put(make)  # once, however many workers take it
        self._starting: dict[Any, Any] = {}
        self._idle: deque[Any] = deque()
        self._busy: dict[Any, _Busy] = {}
        self._processes: set[tuple[str, int]] = set()
        self._failed_starts = 0
        for _ in range(count):
            self._start()

    @property
    def slots(self) -> int:
        """Workers that are ready: fewer while a lost one is replaced, or while a cluster has no room for all."""
        return max(1, len(self._idle) + len(self._busy))

    def wait_until_ready(self, count: int = 1) -> None:
        """Wait for the first worker, or for ``count`` of them; the others may take their time."""
        while len(self._idle) < count:
            self._welcome(self._wait(list(self._starting)))

    def submit(self, trial: Trial) -> None:
        self.wait_until_ready()
        worker = self._idle.popleft()
        future = worker.evaluate.remote(_request_document(trial.request))
        self._busy[future] = _Busy(trial, worker, time.monotonic())

    def completed(self) -> list[Done]:
        """As the protocol says; it may be empty, when a worker has become ready meanwhile."""
        ended = self._wait([*self._busy, *self._starting])
        self._welcome([future for future in ended if future in self._starting])
        done = [self._result(future) for future in ended if future in self._busy]
        return done + [self._overdue(future) for future in self._late()]

    def close(self) -> None:
        """End all workers, whatever they are at. Those of this machine are waited for: their cores are free then."""
        for actor in [*self._starting.values(), *self._idle, *(busy.worker for busy in self._busy.values())]:
            self._ray.kill(actor, no_restart=True)
        self._starting, self._busy = {}, {}
        self._idle.clear()
        end = time.monotonic() + ENDING_S
        while any(host == socket.gethostname() and _exists(pid) for host, pid in self._processes):
            if time.monotonic() > end:
                self._progress.say("a worker's process has not ended yet; what is measured now may be disturbed")
                break
            time.sleep(0.02)

    def _start(self) -> None:
        placement = self._placement
        actor = self._worker.options(
            num_cpus=placement.cpus, num_gpus=placement.gpus, max_restarts=0, scheduling_strategy="SPREAD"
        ).remote(self._made_of, placement.threads, self._limit_s)
        self._starting[actor.whereabouts.remote()] = actor

    def _wait(self, futures: list[Any]) -> list[Any]:
        """Those of ``futures`` that have ended, in the order that they were given in; at least one, unless the time of
        an evaluation is up before."""
        patience = None
        if self._limit_s is not None and self._busy:
            begun = min(busy.since for busy in self._busy.values())
            patience = max(0.0, begun + self._limit_s + GRACE_S - time.monotonic())
        first, _ = self._ray.wait(futures, num_returns=1, timeout=patience)
        if not first:
            return []
        ended, _ = self._ray.wait(futures, num_returns=len(futures), timeout=0)
        return list(ended)

    def _welcome(self, futures: list[Any]) -> None:
        """Take the workers that have become ready; replace those that ended instead."""
        for future in futures:
            actor = self._starting.pop(future)
            try:
                self._processes.add(tuple(self._ray.get(future)))
            except self._ray.exceptions.RayError as error:
                self._failed_starts += 1
                if self._failed_starts >= FAILED_STARTS and not self._idle and not self._busy:
                    raise RunError(
                        f"no worker can be started: {reason_of(error)}",
                        "the evaluator is made anew in each worker: what it reads must be there, at the same path",
                    ) from error
                if self._failed_starts < FAILED_STARTS:
                    self._start()
            else:
                self._failed_starts = 0
                self._idle.append(actor)

    def _result(self, future: Any) -> Done:
        busy = self._busy.pop(future)
        try:
            document, duration_s = self._ray.get(future)
        except self._ray.exceptions.RayError as error:
            lost = reason_of(error)
            self._progress.say(f"a worker was lost during candidate {busy.trial.number}: {lost}")
            self._failed_starts = 0
            self._start()
            return Done(busy.trial, None, time.monotonic() - busy.since, lost)
        self._idle.append(busy.worker)
        return Done(busy.trial, Outcome(busy.trial.request, **document), duration_s)

    def _late(self) -> list[Any]:
        if self._limit_s is None:
            return []
        now = time.monotonic()
        return [future for future, busy in self._busy.items() if now - busy.since >= self._limit_s + GRACE_S]

    def _overdue(self, future: Any) -> Done:
        busy = self._busy.pop(future)
        self._ray.kill(busy.worker, no_restart=True)
        self._start()
        assert self._limit_s is not None
        return Done(busy.trial, out_of_time(busy.trial.request, self._limit_s), time.monotonic() - busy.since)


@dataclass(frozen=True)
class _Busy:
    """A trial under evaluation."""

    trial: Trial
    worker: Any
    since: float


class Worker:
    """Runs in a process of its own, as a Ray actor."""

    def __init__(self, make: MakeEvaluator, threads: int, limit_s: float | None) -> None:
        self._evaluator = make()
        self._limit_s = limit_s
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    def whereabouts(self) -> tuple[str, int]:
        """The worker's machine and process; answered once its evaluator is there."""
        return socket.gethostname(), os.getpid()

    def evaluate(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """What came of a request, and the seconds that it took."""
        start = time.monotonic()
        outcome = evaluated(self._evaluator, Request(**document), self._limit_s)
        return _outcome_document(outcome), time.monotonic() - start


def _request_document(request: Request) -> dict[str, Any]:
    """As Ray can move it: its decisions are a view, which nothing can pickle."""
    return {
        "decisions": dict(request.decisions),
        "id": request.id,
        "fidelity": request.fidelity,
        "continue_from": request.continue_from,
    }


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    return {
        "values": {name: float(value) for name, value in outcome.values.items()},
        "status": outcome.status,
        "note": outcome.note,
        "checkpoint": outcome.checkpoint,
    }


def reason_of(error: Exception) -> str:
    """What Ray says of a lost worker, in one line."""
    text = str(error)
    detail = re.search(r"Worker exit detail: (.*?)(?: Some common causes|\n|$)", text)
    if detail:
        return detail[1].strip().rstrip(".")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if re.match(r"[\w.]*(Error|Exception|MissingPackage)\b", line)]
    return f"{type(error).__name__}: {(own or lines or ['it ended'])[-1 if own else 0]}"


@contextmanager
def local_ray(cpus: int, gpus: int = 0) -> Iterator[None]:
    """A Ray of our own on this machine, without dashboard; its workers import what this program can import."""
    ray = require("ray", extra="ray")
    inherited = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **QUIET}
    before = {name: os.environ.get(name) for name in inherited}
    os.environ.update({name: value for name, value in inherited.items() if name == "PYTHONPATH" or not before[name]})
    try:
        ray.init(
            "local",
            num_cpus=cpus,
            num_gpus=gpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        ray.shutdown()


@contextmanager
def _connected(ray: ModuleType, address: str | None, count: int, placement: Placement) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    if address is None:
        check_room(count, placement)
        with local_ray(ceil(count * placement.cpus), ceil(count * placement.gpus)):
            yield
    else:
        with _cluster(ray, address):
            yield


@contextmanager
def _cluster(ray: ModuleType, address: str) -> Iterator[None]:
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise HwnasError(
            f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}",
            "start one with `ray start --head`, and give the address that it prints: --ray HOST:6379; "
            "if it is there and wants a token, as newer Rays do, set RAY_AUTH_MODE=token",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def cluster_room(address: str, placement: Placement) -> int:
    """How many workers a cluster has room for, by all its cores and GPUs; HwnasError if none, or if it is not there."""
    ray = require("ray", extra="ray")
    with _cluster(ray, address):
        there = ray.cluster_resources()
    wanted = {"CPU": placement.cpus, "GPU": placement.gpus}
    room = min(int(there.get(name, 0.0) / each) for name, each in wanted.items() if each)
    if room < 1:
        raise HwnasError(
            f"the cluster at {address} has no machine for a worker of {placement.cpus:g} cores",
            f"it has {there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs in all",
        )
    return room


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def check_room(count: int, placement: Placement) -> None:
    """HwnasError if so many workers do not fit the cores and GPUs of this machine."""
    cores = usable_cores()
    if count * placement.cpus > cores:
        raise HwnasError(
            f"{count} workers of {placement.cpus:g} cores do not fit the {cores} cores of this machine",
            f"use --workers {max(1, int(cores / placement.cpus))}, or a cluster with --ray",
        )
    if placement.gpus and count * placement.gpus > (there := gpus_here()):
        raise HwnasError(
            f"{count} workers of {placement.gpus:g} GPUs do not fit the {there} GPUs of this machine",
            "use fewer, a part of a GPU for each (--worker-gpus 0.5), or a cluster with --ray",
        )


def gpus_here() -> int:
    """How many GPUs of this machine torch can use."""
    import torch

    return torch.cuda.device_count()
