from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hwnas.exporters import kernels
from hwnas.exporters.kernels import KernelExporter, export_ops
from hwnas.latency.keys import LatencyKey
from hwnas.ops.spec import OPS

# what each op needs beyond its defaults; an op that is not listed here takes {"channels": 8} if it has channels
NEEDS = {
    "resize_bilinear": {"height": 31, "width": 17},
    "resize_nearest": {"height": 31, "width": 17},
    "seg_head": {"classes": 5},
    "conv_seg_head": {"classes": 5},
    "auxiliary_head": {"classes": 5},
    "grid_avg_pool": {"bins": 3},
    "enet_stem": {"channels": 16},
    "window_pool": {"kernel": 5, "row_stride": 2, "column_stride": 3},
}

# ops whose inputs differ in size
SHAPES = dict.fromkeys(("conv_transpose_3x3", "enet_upsample"), ((8, 13, 18), (8, 26, 36)))


def key_of(op: str, shape: tuple[int, int, int] = (8, 13, 18), **params) -> LatencyKey:
    spec = OPS.get(op)
    given = {**NEEDS.get(op, {}), **params}
    if "channels" in spec.defaults and spec.defaults["channels"] is None:
        given.setdefault("channels", 8)
    return LatencyKey(op, spec.complete(given), SHAPES.get(op) or (shape,) * (spec.arity or 2))


def output_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim)


def test_every_op_of_the_catalogue_exports_with_its_shape_and_runs() -> None:
    keys = [key_of(op) for op in OPS.names()]
    rng = np.random.default_rng(0)
    for key, model in zip(keys, export_ops(keys), strict=True):
        onnx.checker.check_model(model, full_check=True)
        expected = (1, *OPS.get(key.op).infer_shape(key.input_shapes, key.params))
        assert output_shape(model) == expected, key
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        feeds = {item.name: rng.standard_normal(item.shape, dtype=np.float32) for item in session.get_inputs()}
        result = session.run(None, feeds)[0]
        assert result.shape == expected, key
        assert np.isfinite(result).all(), key


def test_a_key_is_traced_once_and_reshaped_for_other_sizes(monkeypatch) -> None:
    traced: list[int] = []
    original = kernels.export_modules
    monkeypatch.setattr(
        kernels, "export_modules", lambda modules, names: traced.append(len(modules)) or original(modules, names=names)
    )
    exporter = KernelExporter()
    small, large = key_of("mbconv_e2_k3", channels=8), key_of("mbconv_e2_k3", (8, 40, 50), channels=8)
    pooled = [key_of("pyramid_pool"), key_of("pyramid_pool", (8, 40, 50))]
    models = exporter.export([small, large, *pooled])
    exporter.export([key_of("mbconv_e2_k3", (8, 21, 22), channels=8), small])
    assert sum(traced) == 3  # the mbconv once, the pyramid, whose kernels depend on the size, twice
    onnx.checker.check_model(models[1], full_check=True)
    assert [output_shape(model) for model in models] == [(1, 8, 13, 18), (1, 8, 40, 50), (1, 8, 13, 18), (1, 8, 40, 50)]


def test_reshaped_kernels_equal_those_traced_at_their_size() -> None:
    first, second = key_of("lraspp"), key_of("lraspp", (8, 40, 50))
    reshaped = export_ops([first, second])[1]
    traced = export_ops([second])[0]
    assert [(n.op_type, n.attribute) for n in reshaped.graph.node] == [
        (n.op_type, n.attribute) for n in traced.graph.node
    ]


def test_repeated_keys_and_no_keys() -> None:
    key = key_of("add")
    first, second = export_ops([key, key])
    assert first is second
    assert export_ops([]) == []


def test_weights_depend_on_the_seed_and_leave_the_global_state_alone() -> None:
    key = key_of("conv_1x1")
    before = torch.random.get_rng_state()
    weights = [export_ops([key], seed=seed)[0].graph.initializer[0].raw_data for seed in (0, 0, 1)]
    assert weights[0] == weights[1] != weights[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_kernels_keep_their_biases() -> None:
    """Biases start as zeros, which the exporter drops; a trained net has them."""
    models = export_ops([key_of("mbconv_e2_k3"), key_of("seg_head")])
    convolutions = [node for model in models for node in model.graph.node if node.op_type == "Conv"]
    assert [len(node.input) for node in convolutions] == [3, 3, 3, 3]


def test_bytes_for_the_bundle() -> None:
    (data,) = KernelExporter()([key_of("conv_1x1")])
    assert onnx.load_from_string(data).graph.output[0].name == "output"


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_chunks_change_nothing(chunk: int) -> None:
    keys = [key_of("conv_1x1"), key_of("add"), key_of("conv_1x1", channels=4)]
    models = export_ops(keys, chunk=chunk)
    assert [output_shape(model)[1] for model in models] == [8, 8, 4]
