"""TensorRT's engines opened on a pretended GPU: what is called with what, for artifacts and for tables alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters import tensorrt_engine
from hwnas.exporters.tensorrt_engine import TensorRtEngine
from hwnas.latency import measure


class PretendedGpu:
    """Memory as a dictionary, and a stream that is a list of what was queued."""

    def __init__(self) -> None:
        self.stream = SimpleNamespace(value=77)
        self.memory: dict[int, object] = {}
        self.launched = 0

    def recorded(self, queue: Callable[[], object]) -> Callable[[], None]:
        queue()

        def launch() -> None:
            self.launched += 1

        return launch

    def buffer(self, size: int) -> int:
        self.memory[address := 1000 + len(self.memory)] = size
        return address

    def write(self, address: int, array: np.ndarray) -> None:
        assert array.nbytes == self.memory[address]
        self.written = array.copy()

    def read(self, array: np.ndarray, address: int) -> None:
        assert array.nbytes == self.memory[address]
        array[:] = self.written.sum()


class PretendedRuntime:
    """An engine of one image to two logits."""

    ENDS: ClassVar = {"image": (1, 3, 2, 2), "logits": (1, 2, 2, 2)}

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.addresses: dict[str, int] = {}
        self.Logger = type("Logger", (), {"ERROR": 0, "__init__": lambda self, level: None})
        self.Runtime = lambda logger: SimpleNamespace(deserialize_cuda_engine=self.opened)
        self.nptype = lambda dtype: dtype

    def opened(self, data: bytes) -> object:
        if data == b"another's":
            return None
        context = SimpleNamespace(execute_async_v3=self.runs.append, set_tensor_address=self.addresses.__setitem__)
        return SimpleNamespace(
            num_io_tensors=2,
            get_tensor_name=list(self.ENDS).__getitem__,
            get_tensor_shape=self.ENDS.__getitem__,
            get_tensor_dtype=lambda name: np.float32,
            create_execution_context=lambda: context,
        )


@pytest.fixture
def pretended_gpu(monkeypatch) -> tuple[TensorRtEngine, PretendedRuntime]:
    engine, runtime = TensorRtEngine("tensorrt", "tensorrt"), PretendedRuntime()
    monkeypatch.setattr(engine, "_module", lambda: runtime)
    monkeypatch.setattr(tensorrt_engine, "compute_capability", lambda: "sm90")
    monkeypatch.setattr(measure, "Gpu", PretendedGpu)
    return engine, runtime


def test_a_session_copies_runs_and_copies_back(pretended_gpu, tmp_path: Path) -> None:
    engine, runtime = pretended_gpu
    (tmp_path / "model.engine").write_bytes(b"an engine")
    with engine.open(tmp_path / "model.engine") as session:
        assert (session.input.name, session.input.shape) == ("image", (1, 3, 2, 2))
        logits = session.run(np.ones((1, 3, 2, 2), np.float32))
    assert logits.shape == (1, 2, 2, 2) and (logits == 12).all()
    assert runtime.addresses == {"image": 1000, "logits": 1001}
    assert runtime.runs == [77, 77], "one run to get ready, and one that is recorded"


def test_another_gpus_file_is_one_sentence(pretended_gpu, tmp_path: Path) -> None:
    (tmp_path / "model.engine").write_bytes(b"another's")
    said = r"model\.engine: TensorRT cannot open the engine"
    with pytest.raises(ArtifactError, match=said), pretended_gpu[0].open(tmp_path / "model.engine"):
        pass


def test_a_driver_that_fails_is_one_sentence(pretended_gpu, tmp_path: Path, monkeypatch) -> None:
    def fails() -> None:
        raise measure.MeasureError("the GPU's driver failed in cuInit (CUDA error 100)")

    monkeypatch.setattr(measure, "Gpu", fails)
    (tmp_path / "model.engine").write_bytes(b"an engine")
    with pytest.raises(ArtifactError, match="cuInit"), pretended_gpu[0].open(tmp_path / "model.engine"):
        pass


def test_tables_are_timed_through_the_same_opening(pretended_gpu, monkeypatch) -> None:
    _, runtime = pretended_gpu
    monkeypatch.setattr(measure.importlib, "import_module", lambda name: runtime)
    monkeypatch.setattr(measure, "tensorrt_engine", lambda trt, model: b"an engine")
    opened = measure.ENGINES["tensorrt"].open(b"model", measure.Setting("tensorrt"))
    opened.run()
    assert runtime.runs == [77, 77] and isinstance(opened.clock, PretendedGpu) and opened.clock.launched == 1


@pytest.mark.parametrize(("said", "expected"), [("8.6\n", "sm86"), ("12.0\n", "sm120"), (None, "")])
def test_the_gpu_is_named_by_what_nvidia_smi_says(said, expected, monkeypatch) -> None:
    def run(*words, **options):
        if said is None:
            raise OSError("no such program")
        return SimpleNamespace(stdout=said)

    monkeypatch.setattr(measure.subprocess, "run", run)
    assert tensorrt_engine.compute_capability() == expected
