"""A twin is what the exporter itself would have written, but for the values of its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hwnas.exporters.kernels import export_ops
from hwnas.exporters.onnx_export import export_modules
from hwnas.exporters.twins import parameter_shapes, signature, twin
from hwnas.latency.keys import LatencyKey, parse_key

PAIRS = [
    # an exported kernel, and one that differs from it in numbers only
    ("conv_3x3(activation='relu',channels=8,dilation=1,groups=1,stride=2)@3x20x30", "16x2", (5, 31, 18)),
    ("ds_conv_3x3(channels=8,dilation=1,stride=1)@6x20x30", "16x2", (5, 31, 18)),
    ("mbconv_e4_k3(channels=8,dilation=1,stride=1)@8x20x30", "same", (12, 31, 18)),
    ("mbconv_e4_k5(channels=8,dilation=2,stride=1)@6x20x30", "16x2", (4, 11, 18)),
    ("basic_block(channels=8,dilation=1,stride=1)@8x20x30", "same", (12, 31, 18)),
    ("basic_block(channels=8,dilation=1,stride=2)@6x20x30", "16x2", (5, 31, 18)),
    ("lraspp(channels=8)@12x6x7", "16x2", (20, 9, 5)),
    ("pyramid_pool(bins=(1,2,3,6),channels=8)@12x12x15", "16x2", (20, 12, 15)),
    ("seg_head(classes=5)@8x20x30", "classes", (12, 31, 18)),
    ("resize_bilinear(height=40,width=60)@8x20x30", "size", (12, 31, 18)),
]


def form(model: onnx.ModelProto) -> tuple[Any, ...]:
    """Everything in a model but names and the values of floating-point weights."""
    weights = {item.name: item for item in model.graph.initializer}

    def constant(name: str) -> Any:
        item = weights.get(name)
        if item is None:
            return None
        whole = item.data_type == onnx.TensorProto.INT64
        return tuple(item.dims), numpy_helper.to_array(item).tolist() if whole else None

    nodes = [
        (node.op_type, sorted(map(str, node.attribute)), [constant(name) for name in node.input])
        for node in model.graph.node
    ]
    ends = [[d.dim_value for d in end.type.tensor_type.shape.dim] for end in (*model.graph.input, *model.graph.output)]
    return nodes, ends


def other_key(key: LatencyKey, change: str, shape: tuple[int, int, int]) -> LatencyKey:
    params = dict(key.params)
    if change in ("16x2", "same"):
        params["channels"] = 16 if change == "16x2" else shape[0]
    elif change == "classes":
        params["classes"] = 7
    else:
        params.update(height=62, width=36)
    return LatencyKey(key.op, params, (shape,))


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[onnx.ModelProto, LatencyKey, onnx.ModelProto]]:
    """For each pair: the first kernel as exported, the second key, and the second kernel as exported by itself."""
    from hwnas.ops.spec import OPS

    firsts = [parse_key(text) for text, _, _ in PAIRS]
    seconds = [other_key(key, change, shape) for key, (_, change, shape) in zip(firsts, PAIRS, strict=True)]
    from hwnas.exporters.fold import fold_batchnorm
    from hwnas.exporters.untrained import randomise

    modules = []
    for key in [*firsts, *seconds]:
        module = OPS.get(key.op).module(key.input_shapes, key.params).build()
        randomise(module, 0)
        modules.append((fold_batchnorm(module), key.input_shapes))
    models = export_modules(modules)
    return {first.text: (models[i], seconds[i], models[len(firsts) + i]) for i, first in enumerate(firsts)}


@pytest.mark.parametrize("text", [text for text, _, _ in PAIRS])
def test_a_twin_has_the_form_of_the_kernel_exported_by_itself(exported, text: str) -> None:
    original, key, alone = exported[text]
    assert signature(key, sized=False) == signature(parse_key(text), sized=False)
    made = twin(original, key, seed=0)
    onnx.checker.check_model(made, full_check=True)
    assert form(made) == form(alone)


def test_a_shortcut_that_appears_is_another_signature() -> None:
    with_shortcut, without = (
        parse_key(f"mbconv_e4_k3(channels={channels},dilation=1,stride=1)@8x20x30") for channels in (8, 16)
    )
    assert signature(with_shortcut, sized=False) != signature(without, sized=False)


def test_kernels_of_one_signature_are_exported_once(monkeypatch) -> None:
    from hwnas.exporters import kernels

    traced: list[int] = []
    original = kernels.export_modules
    monkeypatch.setattr(
        kernels, "export_modules", lambda modules, names: traced.append(len(modules)) or original(modules, names=names)
    )
    keys = [parse_key(f"ds_conv_3x3(channels={c},dilation=1,stride=1)@6x{h}x30") for c in (8, 16, 24) for h in (20, 40)]
    models = export_ops(keys)
    assert sum(traced) == 1
    shapes = [[d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] for model in models]
    assert shapes == [[1, c, h, 30] for c in (8, 16, 24) for h in (20, 40)]


def test_weights_repeat_but_no_two_channels_are_alike() -> None:
    key = parse_key("conv_1x1(activation='relu',channels=64,dilation=1,groups=1,stride=1)@256x4x4")
    assert parameter_shapes(key)["conv.weight"] == (64, 256, 1, 1)
    (first,) = export_ops([parse_key("conv_1x1(activation='relu',channels=8,dilation=1,groups=1,stride=1)@4x4x4")])
    weight = numpy_helper.to_array(twin(first, key, seed=0).graph.initializer[0])
    assert len(np.unique(weight.reshape(64, -1), axis=0)) == 64
