"""A training's state on disk, from which it goes on exactly as if it had not been stopped.

One safetensors file: the tensors of every part under ``<part>/<name>``, and in the metadata a JSON text with what has
been spent, the parts' other facts, and the identity of the training. Nothing is ever unpickled. A file is written
beside and renamed, so that whenever a training is killed, the last whole checkpoint is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from hwnas.compiler.weights import apply_weights, load_weights, serialised
from hwnas.errors import RunError
from hwnas.files import write_bytes
from hwnas.rundir import differences
from hwnas.training.logs import Log
from hwnas.training.loop import DivergedError
from hwnas.training.schedule import Spent

SAME = ("network", "classes", "recipe", "budget")
"""What a training that goes on from the beginning of another one shares with it."""

TEXT = "training"
"""The metadata that holds the JSON text, and by which a checkpoint is told from weights."""


def _nothing(facts: Any) -> None:
    """What a part without facts does with them."""


@dataclass(frozen=True)
class Part:
    """A part of a training's state: what it is now, in tensors and in JSON, and how that is put back."""

    tensors: Callable[[], Mapping[str, Tensor]] = dict
    take: Callable[[Mapping[str, Tensor]], object] = _nothing
    facts: Callable[[], Any] = dict
    recall: Callable[[Any], object] = _nothing


def part_of_module(module: nn.Module) -> Part:
    """Parameters and buffers, BatchNorm's statistics among them."""
    return Part(module.state_dict, lambda tensors: apply_weights(module, tensors))


def part_of_optimizer(optimizer: Optimizer) -> Part:
    """The moments, by the place of their parameter among the optimizer's."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def tensors() -> dict[str, Tensor]:
        return {
            f"{place}.{name}": value
            for place, parameter in enumerate(parameters)
            for name, value in optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def take(found: Mapping[str, Tensor]) -> None:
        optimizer.state.clear()
        for key, value in found.items():
            place, _, name = key.partition(".")
            parameter = parameters[int(place)]
            # in the parameter's own memory layout: sums in another order would round otherwise
            own = torch.empty_like(parameter, requires_grad=False) if value.shape == parameter.shape else None
            optimizer.state[parameter][name] = value.to(parameter.device) if own is None else own.copy_(value)

    return Part(tensors, take)


def part_of_scaler(scaler: GradScaler) -> Part:
    """fp16's scale of the loss."""
    return Part(facts=scaler.state_dict, recall=scaler.load_state_dict)


@dataclass
class Checkpoint:
    """The state of one training in the file ``path``. ``identity`` (JSON) is what the training is of.

    What ``log`` has gathered belongs to the state; lines that it wrote after the state are taken back.
    """

    path: Path
    identity: Mapping[str, Any]
    parts: Mapping[str, Part]
    log: Log
    spent: Spent = field(default_factory=Spent)
    """As of the last time that it was saved or restored."""

    def __post_init__(self) -> None:
        log = Part(facts=self.log.state, recall=lambda facts: self.log.restore(facts, self.spent.steps))
        self.parts = {**self.parts, "log": log}

    def save(self, spent: Spent) -> None:
        """Write everything as it is after ``spent``; see :meth:`take`."""
        self.take(spent)()

    def take(self, spent: Spent) -> Callable[[], None]:
        """Everything as it is after ``spent``, to be written by a call of what is returned, whatever happens before.

        Raises DivergedError if a weight or a statistic is no longer finite.
        """
        tensors = {f"{name}/{key}": value for name, part in self.parts.items() for key, value in part.tensors().items()}
        broken = next((name for name, value in tensors.items() if not _finite(value)), None)
        if broken is not None:
            raise DivergedError(
                f"the training diverged: {broken.partition('/')[2]} is no longer finite after step {spent.steps}",
                "lower the learning rate",
            )
        document = {
            "steps": spent.steps,
            "seconds": spent.seconds,
            "identity": self.identity,
            "facts": {name: part.facts() for name, part in self.parts.items()},
        }
        content = serialised(tensors, {TEXT: json.dumps(document)})

        def write() -> None:
            write_bytes(self.path, content)
            self.spent = spent

        return write

    def restore(self) -> bool:
        """Put every part back as it was saved, and ``spent``; whether there was a file.

        Raises RunError if it is damaged, or of another training: the first thing that differs is named.
        """
        if not self.path.exists():
            return False
        tensors, document = read_checkpoint(self.path)
        self._check(self.path, document["identity"], self.identity)
        self._put_back(self.path, tensors, document)
        return True

    def begin_from(self, path: Path) -> None:
        """Put every part back as another training of the same network has left it in ``path``, and what that spent.

        RunError if it is of another network, recipe or budget; it may be of other images, or have had no teacher. The
        log begins anew.
        """
        tensors, document = read_checkpoint(path)
        was, now = ({name: each.get(name) for name in SAME} for each in (document["identity"], self.identity))
        self._check(path, was, now)
        document["facts"]["log"] = self.log.state()
        self._put_back(path, tensors, document)

    def _check(self, path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for name, before, after in differences(was, json.loads(json.dumps(dict(now)))):
            raise RunError(
                f"the checkpoint {path} is of another training: {name} was {_short(before)}, not {_short(after)}",
                "resume it with what it was started with, or start another run directory",
            )

    def _put_back(self, path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        self.spent = Spent(int(document["steps"]), float(document["seconds"]))
        try:
            for name, part in self.parts.items():
                part.take(_below(tensors, name))
                part.recall(document["facts"][name])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise RunError(
                f"the checkpoint {path} is damaged ({error})", "delete it to train from the beginning"
            ) from error

    @contextmanager
    def kept(self, *, as_weights: bool = True) -> Iterator[None]:
        """A divergence inside says that the last good state is in the file, and whether it can be started from."""
        try:
            yield
        except DivergedError as error:
            where = f"to start from: --weights {self.path}" if as_weights else f"in {self.path}"
            hint = f"{error.hint}; the state after step {self.spent.steps} is kept, {where}"
            raise DivergedError(error.message, hint) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON document of a checkpoint; a damaged or foreign file is a RunError."""
    try:
        tensors, metadata = load_weights(path)
    except RunError as error:
        raise RunError(error.message, f"delete {path} to train from the beginning") from error
    try:
        document = json.loads(metadata[TEXT])
        if {"steps", "seconds", "identity", "facts"} <= set(document):
            return tensors, document
        problem = "fields are missing"
    except (KeyError, ValueError, TypeError) as error:
        problem = str(error)
    raise RunError(f"the checkpoint {path} is damaged ({problem})", "delete it to train from the beginning")


def weights_in(path: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one part of a checkpoint, or all of a file that holds nothing but weights."""
    tensors, metadata = load_weights(path)
    return _below(tensors, part) if TEXT in metadata else tensors


def _below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")}


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
