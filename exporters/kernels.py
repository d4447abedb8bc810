"""Exporting the ops of latency keys as small ONNX models with random weights, to be timed.

Keys whose graphs differ in numbers only are exported once; the others are twins of that (see ``twins``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Keys → ONNX, many at once; remembers what the exporter made, so that later calls reshape it.

    ``export`` gives one model for each key, in order: inputs ``input0`` …, output ``output``, batch 1. Called as a
    function it gives their bytes, each made as it is asked for: all kernels of a space need not fit into memory. Raises
    ArtifactError naming the op that cannot be exported.
    """

    def __init__(self, *, seed: int = 0, chunk: int = CHUNK, progress: Progress | None = None) -> None:
        self._seed = seed
        self._chunk = chunk
        self._progress = progress or Silent()
        self._traced: dict[str, ModelProto] = {}
        self._twins: dict[str, ModelProto] = {}

    def __call__(self, keys: Sequence[LatencyKey]) -> Iterator[bytes]:
        return (model.SerializeToString() for model in self._stream(keys))

    def export(self, keys: Sequence[LatencyKey]) -> list[ModelProto]:
        models = dict(zip((key.text for key in keys), self._stream(keys), strict=True))
        return [models[key.text] for key in keys]

    def _stream(self, keys: Sequence[LatencyKey]) -> Iterator[ModelProto]:
        """The models one after another; everything that has to be traced is, before the first."""
        with self._progress.task("exporting ops", len(keys)) as task:
            for sized in (False, True):
                without = [key for key in keys if not self._has(key)]
                self._trace(list({signature(key, sized=sized): key for key in reversed(without)}.values()))
            self._trace([key for key in keys if not self._has(key)])
            for done, key in enumerate(keys):
                yield self._model_of(key)
                task.update(done + 1)

    def _has(self, key: LatencyKey) -> bool:
        return key.text in self._traced or self._twin_of(key) is not None

    def _model_of(self, key: LatencyKey) -> ModelProto:
        if key.text in self._traced:
            return self._traced[key.text]
        original = self._twin_of(key)
        assert original is not None  # what has none was traced
        return twin(original, key, self._seed)

    def _twin_of(self, key: LatencyKey) -> ModelProto | None:
        """An exported model that differs from the key's in numbers only."""
        for sized in (False, True):
            if (found := self._twins.get(signature(key, sized=sized))) is not None:
                return found
        return None

    def _trace(self, keys: Sequence[LatencyKey]) -> None:
        """Export those that are not there yet, in as few calls as the chunk allows."""
        new = list({key.text: key for key in keys if key.text not in self._traced}.values())
        for start in range(0, len(new), self._chunk):
            part = new[start : start + self._chunk]
            modules = [(_random_module(key, self._seed), key.input_shapes) for key in part]
            for key, model in zip(part, export_modules(modules, names=[f"op {key.text}" for key in part]), strict=True):
                if can_have_twins(model):
                    free = holds_no_size(model) or len(model.graph.node) == 1
                    model = twin(model, key, self._seed)  # of itself: with weights that pack well
                    self._twins[signature(key, sized=not free)] = model
                self._traced[key.text] = model


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
