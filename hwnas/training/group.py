"""Several devices of this machine for one training: a process each, of which this one is the first.

Lightning Fabric (DistributedDataParallel) averages the gradients; what lives here is the other processes' life. They do
the same work with the same arguments, each on its own share of the batches; only the first writes files and reports. If
one of them ends early the others are ended, too, and an error says which it was and why.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError, RunError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

READY, GO, FAILED = "ready", "go", "failed"
ENDING_S = 10.0
"""How long a process that should end by itself is waited for."""


class Group:
    """One process's place in the group: its ``rank``, of ``count``. The first listens at ``port`` of this machine."""

    def __init__(self, rank: int, count: int, port: int, meet: Callable[[], None]) -> None:
        self.rank, self.count, self.port = rank, count, port
        self._meet = meet

    def meet(self) -> None:
        """Wait until all processes have come so far; once. RunError in the first if one has ended instead."""
        self._meet()


Work = Callable[[Group], object]
"""What every process but the first does; it must be picklable: a function of a module, perhaps a ``partial`` of it."""


@contextmanager
def group_of(count: int, work: Work) -> Iterator[Group]:
    """Start ``count`` - 1 processes that do ``work``, and be the first of the group inside the block.

    The block must take part in whatever the others do together. When it ends, so do they; RunError if one of them has
    ended before, with its reason.
    """
    assert count > 1
    port = _free_port()
    peers = [_start(rank, count, port, work) for rank in range(1, count)]
    try:
        yield Group(0, count, port, lambda: _gather(peers))
        _see_off(peers)
    except Exception as error:
        if isinstance(error, HwnasError):
            raise
        raise _blamed(peers, error) from error
    finally:
        for peer in peers:
            peer.end()
        _leave()


@dataclass
class _Peer:
    """A process of the group, as the first one sees it. ``reason`` is what it said when it failed."""

    rank: int
    count: int
    process: BaseProcess
    line: Connection
    reason: str = field(default="")

    def listen(self) -> str:
        """What the process says next; empty if it has ended without a word."""
        try:
            kind, text = self.line.recv()
        except (EOFError, OSError):
            return ""
        if kind == FAILED:
            self.reason = text
        return str(kind)

    def failure(self) -> RunError | None:
        """Why it has ended, if it has and should not have."""
        while not self.reason and self.line.poll():
            if not self.listen():
                break
        code = self.process.exitcode
        if not self.reason and code in (None, 0):
            return None
        how = self.reason or (f"it was killed by signal {-code}" if code and code < 0 else f"it ended with code {code}")
        return RunError(
            f"training on device {self.rank + 1} of {self.count} failed: {how}",
            "the other devices were stopped; --resume goes on from the last checkpoint",
        )

    def end(self) -> None:
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(ENDING_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.line.close()


def _start(rank: int, count: int, port: int, work: Work) -> _Peer:
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads, which it cannot use
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(rank, count, port, work, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Peer(rank, count, process, ours)


def _serve(rank: int, count: int, port: int, work: Work, line: Connection) -> None:
    """The life of one of the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to answer

    def meet() -> None:
        line.send((READY, ""))
        line.recv()

    try:
        work(Group(rank, count, port, meet))
    except EOFError:  # the first process is gone
        return
    except Exception as error:
        text = error.message if isinstance(error, HwnasError) else f"{type(error).__name__}: {error}"
        with suppress(OSError):
            line.send((FAILED, text.splitlines()[0]))
    finally:
        _leave()


def _gather(peers: list[_Peer]) -> None:
    """Let all go on when all are there."""
    missing = {peer.line: peer for peer in peers}
    while missing:
        for line in wait(list(missing)):
            peer = missing.pop(line)  # type: ignore[call-overload]
            if peer.listen() != READY:
                peer.process.join(ENDING_S)
                raise peer.failure() or RunError(f"training on device {peer.rank + 1} of {peer.count} did not begin")
    for peer in peers:
        peer.line.send((GO, ""))


def _see_off(peers: list[_Peer]) -> None:
    """Wait for processes that have nothing left to do; what went wrong in one of them goes wrong here."""
    for peer in peers:
        peer.process.join(ENDING_S)
        if failure := peer.failure():
            raise failure


def _blamed(peers: list[_Peer], error: Exception) -> Exception:
    """A broken connection is told as the end of the process that broke it."""
    deadline = time.monotonic() + ENDING_S / 2
    while time.monotonic() < deadline and "onnection" in str(error):
        failures = [failure for peer in peers if (failure := peer.failure())]
        if failures:
            # A peer that lost its own connection is not the one to blame, if another has a better reason.
            return min(failures, key=lambda failure: "onnection" in failure.message)
        time.sleep(0.05)
    return error


def _leave() -> None:
    """Close the connections to the others, so that this process can be in another group later."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed and distributed.is_available() and distributed.is_initialized():
        with suppress(RuntimeError):
            distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: Any = found.getsockname()[1]
        return int(port)
