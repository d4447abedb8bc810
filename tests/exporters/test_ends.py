"""What exported graphs take and give: pixels, batches, labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from hwnas.cli.stages.explaining import _facts
from hwnas.data.preprocess import normalize_array
from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import open_artifact
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.build import export_artifact
from hwnas.exporters.ends import Ends
from hwnas.exporters.engine import ANY, ENGINES
from hwnas.exporters.inputs import outputs_of
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.parity import check_parity
from hwnas.exporters.profiler import PROFILERS
from hwnas.exporters.quantized import quantized_to_time
from hwnas.exporters.scopes import inside_of, labels_of
from hwnas.exporters.torch_eager import TorchSession
from tests.exporters.nets import CLASSES, SIZE_HW

FILES = [name for name in ("onnxruntime", "openvino") if ENGINES.get(name).available()]


@pytest.fixture(scope="module")
def model(network) -> onnx.ModelProto:
    return network_as_onnx(network)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def test_normalising_inside_is_bit_for_bit_what_it_is_outside(model, images) -> None:
    inside = run(Ends(preprocess=True).put_on(model), images[:1])
    np.testing.assert_array_equal(inside, run(model, normalize_array(images[:1])))


def test_labels_are_the_first_greatest_logit(model, images) -> None:
    image = normalize_array(images[:1])
    made = Ends(argmax=True).put_on(model)
    assert {n.op_type for n in made.graph.node if n.metadata_props[0].value == "argmax"} == {"ArgMax", "Cast"}
    labels = run(made, image)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, run(model, image).argmax(1))


def test_a_byte_holds_256_labels(model) -> None:
    many = onnx.ModelProto.FromString(model.SerializeToString())
    many.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 257
    with pytest.raises(ArtifactError, match="has 257 classes"):
        Ends(argmax=True).put_on(many)


@pytest.mark.parametrize("batch", [3, None])
def test_a_batch_is_its_images(model, images, batch) -> None:
    made = Ends(batch=batch).put_on(model)
    together = run(made, normalize_array(images[:3]))
    apart = np.concatenate([run(model, normalize_array(images[i : i + 1])) for i in range(3)])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)


def test_the_model_is_left_as_it_was(model) -> None:
    before = model.SerializeToString(deterministic=True)
    Ends(argmax=True, preprocess=True, batch=2).put_on(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("engine", FILES)
@pytest.mark.parametrize("ends", [Ends(True, True, 3), Ends(False, True, 1), Ends(False, False, 2)], ids=str)
def test_artifacts_say_what_they_take_and_agree(engine, ends, network, genotype, model, images, tmp_path: Path) -> None:
    export_artifact(
        network,
        genotype,
        tmp_path,
        engine=engine,
        argmax=ends.argmax,
        preprocess=ends.preprocess,
        batch=ends.batch,
        model=model,
        classes=CLASSES,
    )
    artifact = open_artifact(tmp_path)
    assert artifact.manifest.size_hw == SIZE_HW
    with artifact.open() as session:
        assert list(session.input.shape) == artifact.manifest.input["shape"]
        assert session.input.dtype == artifact.manifest.input["dtype"]
        assert list(session.output.shape) == artifact.manifest.output["shape"]
        assert (session.input.size_hw, session.input.batch) == (SIZE_HW, ends.batch)
        assert ("preprocessing" in inside_of(session, "engine")) == ends.preprocess
        assert labels_of(session, images[: ends.batch]).shape == (ends.batch, *SIZE_HW)
    result = check_parity(network, artifact, images)
    assert result.ok and result.images == len(images), result.differences


@pytest.mark.parametrize("engine", FILES)
def test_any_number_of_images(engine, network, genotype, model, images, tmp_path: Path) -> None:
    artifact = export_artifact(network, genotype, tmp_path, engine=engine, batch=None, model=model)
    pytorch = np.concatenate(list(outputs_of(TorchSession(network), images[:3])))
    with artifact.open() as session:
        assert session.input.shape[0] == session.output.shape[0] == ANY and session.input.batch == 1
        for count in (1, 2, 3):
            together = session.run(normalize_array(images[:count]))
            np.testing.assert_allclose(together, pytorch[:count], rtol=1e-3, atol=1e-4)
        with pytest.raises(ArtifactError, match="Nx3x70x102"):
            session.run(normalize_array(images[:0]))
    assert check_parity(network, artifact, images).ok


@pytest.mark.parametrize("engine", FILES)
def test_any_number_of_pixels_to_labels_in_int8(engine, network, genotype, model, images, tmp_path: Path) -> None:
    artifact = export_artifact(
        network,
        genotype,
        tmp_path,
        engine=engine,
        precision="int8",
        argmax=True,
        preprocess=True,
        batch=None,
        model=quantized_to_time(model),
        classes=CLASSES,
    )
    assert _facts(tmp_path / "model.onnx")[0] == SIZE_HW  # as `hwnas explain` reads it
    with artifact.open() as session:
        apart = np.concatenate([session.run(images[i : i + 1]).copy() for i in range(3)])
        for count in (2, 3):
            assert (session.run(images[:count]) == apart[:count]).mean() > 0.999  # sums of another order, now and then


def test_frames_per_second_count_the_batch(network, genotype, model, tmp_path: Path) -> None:
    timed = benchmark(export_artifact(network, genotype, tmp_path, batch=2, model=model), seconds=0.2)
    assert timed.fps == pytest.approx(2000 / timed.p50_ms) and timed.contract.batch == 2


def test_half_precision_as_a_file(network, genotype, model, images, tmp_path: Path) -> None:
    artifact = export_artifact(network, genotype, tmp_path, engine="onnx", precision="fp16", model=model)
    assert artifact.path.stat().st_size < 0.6 * len(model.SerializeToString())
    assert check_parity(network, artifact, images).ok


def test_a_precision_that_an_engine_lacks_names_those_it_has(network, genotype, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="onnxruntime does not compute in bf16") as refused:
        export_artifact(network, genotype, tmp_path / "a", engine="onnxruntime", precision="bf16")
    assert "fp32, int8" in refused.value.hint
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("engine", FILES)
@pytest.mark.parametrize("batch", [2, None])
def test_engines_of_pixels_are_profiled(engine, batch, network, genotype, model, tmp_path: Path) -> None:
    artifact = export_artifact(network, genotype, tmp_path, engine=engine, preprocess=True, batch=batch, model=model)
    profile = PROFILERS.get(engine).profile(artifact.path, threads=1, seconds=0.05)
    assert profile.run_ms > 0 and len(profile.kernels) > 10
