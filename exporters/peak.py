"""The rate at which an engine multiplies at best on this machine: a bound that no network passes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from hwnas.exporters.engine import engine_named
from hwnas.latency.measure import time_callable

CHANNELS, SIZE = 128, 28
HEADROOM = 1.25
"""A denser kernel, or a quieter moment, might be this much faster."""


def peak_macs_per_ms(engine: str, *, threads: int, seconds: float = 0.5) -> float:
    """Multiply-accumulates a millisecond of a dense 3x3 convolution, the kernel that runs best, with headroom."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    shape = [1, CHANNELS, SIZE, SIZE]
    kernel = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "kernel"], ["logits"], pads=[1, 1, 1, 1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")]
    graph = helper.make_graph([node], "peak", ends[:1], ends[1:], [numpy_helper.from_array(kernel, "kernel")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model)
    macs = CHANNELS * CHANNELS * 9 * SIZE * SIZE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peak.onnx"
        save(model, path)
        with engine_named(engine).open(path, threads=threads) as session:
            image = np.ones(shape, np.float32)
            samples = time_callable(lambda: session.run(image), warmup_s=0.1, min_runs=20, max_seconds=seconds)
    return HEADROOM * macs / float(samples.wall_ms.min())
