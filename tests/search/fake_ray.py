"""As much of Ray as the executor uses, in one process and in a fixed order: what happens when workers are lost."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class Death(BaseException):
    """Raised in a worker: its process is gone."""


class Hang(BaseException):
    """Raised in a worker: it will never answer."""


class Future:
    def __init__(self, actor: Actor, work: Callable[[], Any]) -> None:
        self.actor, self.work = actor, work
        self.value: Any = None
        self.state = "waiting"

    def run(self) -> None:
        if self.state != "waiting":
            return
        if self.actor.dead:
            self.value, self.state = (
                RayError("The actor is dead\nWorker exit detail: it was killed. Some common causes…"),
                "failed",
            )
            return
        try:
            self.value, self.state = self.work(), "done"
        except Hang:
            self.state = "hanging"
        except Death:
            self.actor.dead = True
            self.run()
        except Exception as error:
            self.actor.dead = True
            self.value, self.state = RayError(f"creation task failed\n{type(error).__name__}: {error}"), "failed"


class Method:
    def __init__(self, actor: Actor, name: str) -> None:
        self.actor, self.name = actor, name

    def remote(self, *arguments: Any) -> Future:
        return Future(self.actor, lambda: getattr(self.actor.instance(), self.name)(*arguments))


class Actor:
    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.made: Any = None
        self.dead = False
        self.whereabouts, self.evaluate = Method(self, "whereabouts"), Method(self, "evaluate")

    def instance(self) -> Any:
        if self.made is None:
            self.made = self.make()
        return self.made


class FakeRay:
    """Stands for the module ``ray``; ``actors`` are all that were ever started."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self) -> None:
        self.actors: list[Actor] = []

    def remote(self, kind: type) -> Any:
        def start(*arguments: Any) -> Actor:
            self.actors.append(Actor(lambda: kind(*arguments)))
            return self.actors[-1]

        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=start))

    def put(self, value: Any) -> Any:
        return value

    def wait(self, futures: list[Future], num_returns: int, timeout: float | None) -> tuple[list[Future], list[Future]]:
        for future in futures:
            future.run()
        ended = [future for future in futures if future.state in ("done", "failed")][:num_returns]
        assert ended or timeout is not None, "this would wait for ever"
        return ended, [future for future in futures if future not in ended]

    def get(self, future: Future, timeout: float | None = None) -> Any:
        future.run()
        if future.state == "failed":
            raise future.value
        return future.value

    def kill(self, actor: Actor, no_restart: bool) -> None:
        actor.dead = True
