"""Exporting the ops of latency keys as small ONNX models with random weights, to be timed.

Keys whose modules are equal and whose graphs hold no size (most convolutions) are exported once and reshaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwnas.exporters.onnx_export import export_modules
from hwnas.ops.spec import OPS
from hwnas.progress import Progress, Silent

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from hwnas.latency.keys import LatencyKey

CHUNK = 100
"""Branches exported in one call: beyond some hundred, torch.export's cost per branch grows again."""

_SIZE_FREE = frozenset(
    {"Add", "Clip", "Concat", "Conv", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul", "Relu", "Sigmoid"}
)
"""ONNX ops that, as our own modules use them, hold nothing of their input's height and width."""


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
            done = 0
            for chunk in self._chunks(missing):
                self._export_new(chunk)
                done += len(chunk)
                task.update(done)
        return [self._models[key.text] for key in keys]

    def _chunks(self, keys: list[LatencyKey]) -> list[list[LatencyKey]]:
        """Parts of nearly equal length; keys that may share an export stand together."""
        ordered = sorted(keys, key=_signature)
        count = math.ceil(len(ordered) / self._chunk)
        return [ordered[len(ordered) * i // count : len(ordered) * (i + 1) // count] for i in range(count)]

    def _export_new(self, keys: list[LatencyKey]) -> None:
        first = {_signature(key): key for key in reversed(keys)}
        self._trace([key for signature, key in first.items() if signature not in self._twins])
        rest = []
        for key in keys:
            twin = self._twins.get(_signature(key))
            if twin is not None:
                self._models[key.text] = _reshaped(twin, key)
            elif key.text not in self._models:
                rest.append(key)
        self._trace(rest)

    def _trace(self, keys: list[LatencyKey]) -> None:
        """Export these in one call."""
        if not keys:
            return
        modules = [(_random_module(key, self._seed), key.input_shapes) for key in keys]
        models = export_modules(modules, names=[f"op {key.text}" for key in keys])
        for key, model in zip(keys, models, strict=True):
            self._models[key.text] = model
            if _holds_no_size(model):
                self._twins[_signature(key)] = model


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


def _signature(key: LatencyKey) -> str:
    """Equal for keys whose modules are equal: the module's call and the channels of its inputs."""
    call = OPS.get(key.op).module(key.input_shapes, key.params)
    if not call.source.startswith("hwnas."):
        return key.text  # of other people's modules we do not know whether they look at the size
    arguments = json.dumps({name: call.kwargs[name] for name in sorted(call.kwargs)})
    return f"{call.source}.{call.class_name}({arguments})@{[shape[0] for shape in key.input_shapes]}"


def _holds_no_size(model: ModelProto) -> bool:
    return all(node.op_type in _SIZE_FREE for node in model.graph.node)


def _reshaped(model: ModelProto, key: LatencyKey) -> ModelProto:
    """A copy of ``model`` for inputs of the sizes in ``key``."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    output = OPS.get(key.op).infer_shape(key.input_shapes, key.params)
    for value, shape in zip([*copy.graph.input, *copy.graph.output], [*key.input_shapes, output], strict=True):
        for place, size in enumerate(shape, start=1):
            value.type.tensor_type.shape.dim[place].dim_value = size
    return copy
