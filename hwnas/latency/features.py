"""What of a key's size its latency grows with: multiplications and bytes moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from hwnas.latency.keys import LatencyKey
from hwnas.ops.spec import OPS

BYTES_PER_VALUE = 4


@dataclass(frozen=True)
class KeySize:
    """Multiply-accumulates, and bytes of inputs, output and weights at 32 bits."""

    macs: int
    input_bytes: int
    output_bytes: int
    weight_bytes: int


@lru_cache(maxsize=65536)
def key_size(key: LatencyKey) -> KeySize:
    """The size of a key, by its op's own rules; an op that is not registered is a HwnasError."""
    spec = OPS.get(key.op)
    shapes = list(key.input_shapes)
    return KeySize(
        macs=spec.macs(shapes, key.params),
        input_bytes=BYTES_PER_VALUE * sum(math.prod(shape) for shape in shapes),
        output_bytes=BYTES_PER_VALUE * math.prod(spec.infer_shape(shapes, key.params)),
        weight_bytes=BYTES_PER_VALUE * spec.weights(shapes, key.params),
    )


def rough_cost(key: LatencyKey) -> float:
    """Multiply-accumulates plus traffic: good enough to tell cheap from dear before anything is measured."""
    size = key_size(key)
    return size.macs + 4.0 * (size.input_bytes + size.output_bytes)
