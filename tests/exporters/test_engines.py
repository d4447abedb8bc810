from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwnas.compiler.weights import save_weights
from hwnas.errors import ArtifactError, HwnasError, MissingPackage, RunError
from hwnas.exporters.engine import ENGINES, Engine, engine_named
from hwnas.ir.serialize import save_genotype
from tests.contracts.engine_contract import CHECKS


@pytest.fixture(scope="module")
def opens(exported, network, genotype, tmp_path_factory) -> dict[str, Path]:
    """What each engine opens."""
    run = tmp_path_factory.mktemp("run")
    save_genotype(genotype, run / "genotype.json")
    height, width = network.graph.shape("image")[1:]
    save_weights(network, run / "weights.safetensors", {"size": f"{height}x{width}", "classes": "5"})
    found = {"onnx": exported["logits"].path, "onnxruntime": exported["logits"].path, "torch-eager": run}
    if ENGINES.get("openvino").available():
        built = tmp_path_factory.mktemp("openvino")
        found["openvino"] = ENGINES.get("openvino").build(found["onnxruntime"], precision="fp32", out_dir=built)
    return found


@pytest.mark.parametrize("name", ENGINES.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_engine_keeps_the_contract(name: str, check: Callable[[Engine, Path], None], opens) -> None:
    engine = ENGINES.get(name)
    found = engine.available()
    if found and name.startswith("tensorrt"):
        pytest.skip("needs a GPU to run on")
    if not found and "available" not in check.__name__ and "registered" not in check.__name__:
        pytest.skip(f"{found.problem}; {found.hint}")
    assert name in opens or not found, f"give the engine {name} something to open here"
    check(engine, opens.get(name, Path()))


def test_the_engines_agree(opens) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, 70, 102), dtype=np.float32)
    outputs = []
    for name, path in opens.items():
        with ENGINES.get(name).open(path, threads=1) as session:
            outputs.append(session.run(image))
    assert len(outputs) >= 2
    for output in outputs[1:]:
        np.testing.assert_allclose(outputs[0], output, rtol=1e-3, atol=1e-4 * float(np.abs(outputs[0]).max()))


def test_an_unknown_engine_lists_those_there_are() -> None:
    with pytest.raises(HwnasError, match="onnxruntime"):
        engine_named("onnxruntim")


def test_a_missing_package_names_its_install_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackage, match=r'pip install "hwnas\[cpu\]"'):
        engine_named("onnxruntime")


def test_onnxruntime_refuses_other_precisions(exported, tmp_path) -> None:
    with pytest.raises(ArtifactError, match="int8"):
        ENGINES.get("onnxruntime").build(exported["logits"].path, precision="int8", out_dir=tmp_path)


def test_onnxruntime_refuses_a_damaged_file(tmp_path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not an onnx file")
    with (
        pytest.raises(ArtifactError, match=r"cannot open .*bad\.onnx"),
        ENGINES.get("onnxruntime").open(bad, threads=1),
    ):
        pass


def test_weights_without_a_size_are_refused(opens, network, genotype, tmp_path) -> None:
    save_genotype(genotype, tmp_path / "genotype.json")
    save_weights(network, tmp_path / "weights.safetensors", {})
    with (
        pytest.raises(RunError, match="trained for"),
        ENGINES.get("torch-eager").open(tmp_path, threads=1),
    ):
        pass


def test_listing_the_engines_imports_no_engine() -> None:
    code = (
        "import sys; from hwnas.exporters.engine import ENGINES; ENGINES.names();"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
