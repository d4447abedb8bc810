from __future__ import annotations

import onnx

from hwnas.latency.measure import ENGINES, Setting, time_reference
from hwnas.latency.reference import ENLARGED, SHAPE, reference_model


def test_it_is_always_the_same_valid_model() -> None:
    model = onnx.load_from_string(reference_model())
    onnx.checker.check_model(model, full_check=True)
    assert reference_model() == reference_model()
    ends = [
        [size.dim_value for size in end.type.tensor_type.shape.dim] for end in (*model.graph.input, *model.graph.output)
    ]
    assert ends == [list(SHAPE), list(ENLARGED)]


def test_it_takes_about_a_millisecond() -> None:
    samples = time_reference(ENGINES["onnxruntime"].open(reference_model(), Setting("onnxruntime")).run)
    assert 0.1 < float(samples.cpu_ms.min()) < 20
