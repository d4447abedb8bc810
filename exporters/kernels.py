"""Exporting the ops of latency keys as small ONNX models with random weights, to be timed.

Keys whose graphs differ in numbers only are exported once; the others are twins of that (see ``twins``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwnas.exporters.onnx_export import export_modules
from hwnas.exporters.twins import can_have_twins, holds_no_size, signature, twin
from hwnas.ops.spec import OPS
from hwnas.progress import Progress, Silent

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from hwnas.latency.keys import LatencyKey

CHUNK = 100
"""Branches exported in one call: beyond some hundred, torch.export's cost per branch grows again."""


class KernelExporter:
    """Keys → ONNX, many at once; remembers what it exported, so that later calls reshape it.

    ``export`` gives one model for each key, in order: inputs ``input0`` …, output ``output``, batch 1. Called as a
    function it gives their bytes. Raises ArtifactError naming the op that cannot be exported.
    """

    def __init__(self, *, seed: int = 0, chunk: int = CHUNK, progress: Progress | None = None) -> None:
        self._seed = seed
        self._chunk = chunk
        self._progress = progress or Silent()
        self._models: dict[str, ModelProto] = {}
        self._twins: dict[str, ModelProto] = {}

    def __call__(self, keys: Sequence[LatencyKey]) -> list[bytes]:
        return [model.SerializeToString() for model in self.export(keys)]

    def export(self, keys: Sequence[LatencyKey]) -> list[ModelProto]:
        missing = [key for key in {key.text: key for key in keys}.values() if key.text not in self._models]
        with self._progress.task("exporting ops", len(missing)) as task:
            for sized in (False, True):
                without = [key for key in missing if self._twin_of(key) is None]
                self._trace(list({signature(key, sized=sized): key for key in reversed(without)}.values()))
            for done, key in enumerate(missing):
                original = self._twin_of(key)
                if key.text not in self._models and original is not None:
                    self._models[key.text] = twin(original, key, self._seed)
                task.update(done)
            self._trace(missing)
        return [self._models[key.text] for key in keys]

    def _twin_of(self, key: LatencyKey) -> ModelProto | None:
        """An exported model that differs from the key's in numbers only."""
        for sized in (False, True):
            if (found := self._twins.get(signature(key, sized=sized))) is not None:
                return found
        return None

    def _trace(self, keys: Sequence[LatencyKey]) -> None:
        """Export those that are not there yet, in as few calls as the chunk allows."""
        new = [key for key in keys if key.text not in self._models]
        for start in range(0, len(new), self._chunk):
            part = new[start : start + self._chunk]
            modules = [(_random_module(key, self._seed), key.input_shapes) for key in part]
            for key, model in zip(part, export_modules(modules, names=[f"op {key.text}" for key in part]), strict=True):
                self._models[key.text] = model
                if can_have_twins(model):
                    free = holds_no_size(model) or len(model.graph.node) == 1
                    self._twins[signature(key, sized=not free)] = model


def export_ops(
    keys: Sequence[LatencyKey], *, seed: int = 0, chunk: int = CHUNK, progress: Progress | None = None
) -> list[ModelProto]:
    """One small model for each key, by a new :class:`KernelExporter`."""
    return KernelExporter(seed=seed, chunk=chunk, progress=progress).export(keys)


def _random_module(key: LatencyKey, seed: int) -> nn.Module:
    """The op's module, folded, with random weights."""
    import torch

    from hwnas.exporters.fold import fold_batchnorm
    from hwnas.exporters.untrained import randomise

    with torch.random.fork_rng(devices=[]):  # building draws weights
        module = OPS.get(key.op).module(key.input_shapes, key.params).build()
    randomise(module, seed)
    return fold_batchnorm(module)
