"""Every engine gets its models in the form it takes, and runs them: in each precision, and in batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError, MissingPackage
from hwnas.exporters.batches import batched
from hwnas.exporters.engine_models import adapter_for, models_for, setting_for, version_of
from hwnas.exporters.fragments import assemble
from hwnas.exporters.half import in_half
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.ir.opgraph import GraphBuilder
from hwnas.latency.bundle import Bundle
from hwnas.latency.keys import keys_of, parse_key
from hwnas.latency.measure import ENGINES, Setting
from tests.exporters.nets import graph_of, random_genotype

KEY = parse_key("mbconv_e4_k3(channels=8,dilation=1,stride=1)@8x20x30")
BUNDLE = Bundle(None, "s", (64, 96), 5, {}, (), {}, "f")  # type: ignore[arg-type]


def here(engine: str) -> bool:
    try:
        version_of(engine)
    except MissingPackage:
        return False
    return not adapter_for(engine, "fp32").on_gpu


@pytest.fixture(scope="module")
def kernel() -> onnx.ModelProto:
    return export_ops([KEY])[0]


CASES = [(name, precision) for name, adapter in ENGINES.items() for precision in adapter.graphs]


@pytest.mark.parametrize(("engine", "precision"), [*CASES, ("torch-eager", "fp32")])
def test_kernels_run_in_every_engine_and_precision(engine: str, precision: str, kernel) -> None:
    if not here(engine):
        pytest.skip(f"{engine} is not installed here, or needs a GPU")
    models = models_for(engine, precision)
    model = kernel.SerializeToString() if engine != "torch-eager" else next(iter(models.export_ops([KEY])))
    setting = Setting(engine, precision)
    try:
        opened = adapter_for(engine, precision).open(models.form.kernel(model), setting)
    except ValueError as error:
        if "does not compute in" not in str(error):
            raise
        pytest.skip(str(error))
    assert opened.clock is None
    opened.run()


def test_forms_are_those_that_the_engines_ask_for(kernel) -> None:
    data = kernel.SerializeToString()
    assert models_for("openvino", "bf16").form.kernel(data) == data
    half = onnx.load_from_string(models_for("onnxruntime-cuda", "fp16").form.kernel(data))
    assert {item.data_type for item in half.graph.initializer} == {TensorProto.FLOAT16}
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    net = onnx.load_from_string(models_for("onnxruntime-cuda", "fp16").form.net(data))
    assert net.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    symmetric = onnx.load_from_string(models_for("tensorrt", "int8").form.kernel(data))
    assert symmetric.graph.input[0].type.tensor_type.elem_type == TensorProto.INT8


def test_batches_hold_that_many_images() -> None:
    graph = graph_of(random_genotype(4))
    keys = list(dict.fromkeys(keys_of(graph).values()))
    net = assemble(graph, {key.text: model for key, model in zip(keys, export_ops(keys), strict=True)})
    double = batched(net, 2)
    onnx.checker.check_model(double, full_check=True)
    import onnxruntime

    images = np.random.default_rng(0).standard_normal((2, *graph.shape("image")), dtype=np.float32)
    one, two = (
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (net, double)
    )
    single = np.concatenate([one.run(None, {"image": image[None]})[0] for image in images])
    np.testing.assert_allclose(two.run(None, {"image": images})[0], single, rtol=1e-3, atol=1e-4)
    assert net.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize("batch", [3, None])
def test_an_absent_edge_beside_others_is_absent_for_every_image(batch: int | None) -> None:
    import onnxruntime

    builder = GraphBuilder((2, 4, 6))
    gone = builder.add("gone", "none", ["image"], {})
    graph = builder.finish(builder.add("both", "concat", ["image", gone], {}))
    model = batched(network_as_onnx(compile_graph(graph, seed=0).eval()), batch)
    onnx.checker.check_model(model, full_check=True)
    images = np.random.default_rng(0).standard_normal((3, 2, 4, 6), dtype=np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images})
    np.testing.assert_array_equal(found, np.concatenate([images, np.zeros_like(images)], axis=1))


def test_half_leaves_the_float_model_as_it_was(kernel) -> None:
    before = kernel.SerializeToString()
    in_half(kernel, ends=True)
    assert kernel.SerializeToString() == before


def test_error_on_an_unknown_engine_or_precision() -> None:
    with pytest.raises(HwnasError, match="no engine 'onxruntime'") as caught:
        models_for("onxruntime")
    assert "torch-eager" in caught.value.hint and "openvino" in caught.value.hint
    with pytest.raises(HwnasError, match="onnxruntime is not timed in fp16") as caught:
        models_for("onnxruntime", "fp16")
    assert "fp32, int8" in caught.value.hint


def test_error_on_an_engine_that_is_not_installed(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx", None)
    with pytest.raises(MissingPackage, match="tensorrt-rtx is not installed") as caught:
        version_of("tensorrt-rtx")
    assert 'pip install "hwnas[tensorrt-rtx]"' in caught.value.hint


def test_a_bundle_is_timed_in_what_its_graphs_are_made_for() -> None:
    int8 = replace(BUNDLE, graphs="int8", batch=2)
    assert setting_for(int8, "openvino", None, 2) == Setting("openvino", "int8", 2, 2)
    assert setting_for(BUNDLE, "openvino", "bf16", 1) == Setting("openvino", "bf16")
    with pytest.raises(HwnasError, match="holds fp32 graphs, and int8 in openvino needs int8 graphs") as caught:
        setting_for(BUNDLE, "openvino", "int8", 1)
    assert "hwnas profile plan --engine openvino --precision int8" in caught.value.hint
    with pytest.raises(HwnasError, match="needs int8-symmetric graphs"):
        setting_for(int8, "tensorrt", None, 1)
