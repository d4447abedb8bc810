"""Timing: against callables whose cost is known, journals that were interrupted or damaged, the file run alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from hwnas.latency import measure
from hwnas.latency.bundle import write_bundle
from hwnas.latency.measure import (
    ENGINES,
    HURRY_S,
    Journal,
    MeasureError,
    Opened,
    Pace,
    Samples,
    measure_bundle,
    read_lines,
    time_callable,
)
from hwnas.latency.plan import plan
from hwnas.latency.summary import calm_blocks
from hwnas.progress import Silent


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(measure, "BLOCK_S", {"kernel": 0.005, "net": 0.01})


@pytest.fixture
def bundle(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=3, holdout_nets=2)
    path = tmp_path / "bundle.zip"
    write_bundle(planned, path, exporter.export_ops, exporter.assemble, Silent())
    return path


def test_cpu_time_of_known_work():
    samples = time_callable(lambda: busy(0.002), min_runs=5, max_seconds=0.02)
    assert np.median(samples.cpu_ms) == pytest.approx(2.0, rel=0.25)
    assert len(samples.wall_ms) >= 5 and (samples.wall_ms > 0).all()


def test_sleep_counts_as_wall_time_only():
    samples = time_callable(lambda: time.sleep(0.005), min_runs=5, max_seconds=0.03)
    assert np.median(samples.wall_ms) >= 5.0
    assert np.median(samples.cpu_ms) < 2.5


def test_short_runs_are_grouped():
    calls = []
    samples = time_callable(lambda: calls.append(1), min_runs=5, max_seconds=0.01, warmup_s=0.001)
    assert samples.inner > 20
    assert samples.runs + samples.warmup_runs == len(calls)


def test_measuring_covers_every_model_and_goes_on_where_it_was(bundle, tmp_path):
    out = tmp_path / "measured.jsonl"
    assert measure_bundle(bundle, out, passes=1, seconds=60)
    lines = read_lines(out)
    names = [line["name"] for line in lines[1:] if line["name"] != "reference"]
    assert len(names) == len(set(names))
    kept = lines[: len(lines) // 2]
    text = "".join(json.dumps(line) + "\n" for line in kept) + '{"name": "k000'
    out.write_text(text)
    assert measure_bundle(bundle, out, passes=1, seconds=60)
    again = read_lines(out)
    assert again[: len(kept)] == kept
    assert sorted(line["name"] for line in again[1:] if line["name"] != "reference") == sorted(names)


def test_later_passes_follow_one_that_was_complete(bundle, tmp_path):
    out = tmp_path / "measured.jsonl"
    measure_bundle(bundle, out, passes=1, seconds=60)
    measure_bundle(bundle, out, passes=2, seconds=60)
    blocks = [(line["name"], line["pass"]) for line in read_lines(out)[1:] if line["name"] != "reference"]
    assert {number for _, number in blocks} == {0, 1}
    assert len(blocks) == len(set(blocks)) == 2 * len({name for name, _ in blocks})


def test_time_limit_is_kept_and_said(bundle, tmp_path):
    start = time.monotonic()
    assert not measure_bundle(bundle, tmp_path / "measured.jsonl", passes=50, seconds=0.0)
    assert time.monotonic() - start < 5


def test_kernels_that_cannot_be_built_are_recorded_and_the_rest_goes_on(bundle, tmp_path):
    import zipfile

    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(broken, "w") as target:
        manifest = json.loads(source.read("manifest.json"))
        victim = manifest["kernels"][0]["file"]
        for name in source.namelist():
            target.writestr(name, b"nonsense" if name == victim else source.read(name))
    out = tmp_path / "measured.jsonl"
    assert measure_bundle(broken, out, passes=1, seconds=60)
    errors = [line for line in read_lines(out) if "error" in line]
    assert len(errors) == 1 and errors[0]["name"] in victim


def test_error_on_a_journal_of_another_setting(bundle, tmp_path):
    out = tmp_path / "measured.jsonl"
    measure_bundle(bundle, out, passes=1, seconds=0.0)
    with pytest.raises(MeasureError, match="threads"):
        measure_bundle(bundle, out, threads=2, passes=1, seconds=0.0)


def test_error_on_a_journal_damaged_in_the_middle(tmp_path):
    path = tmp_path / "measured.jsonl"
    path.write_text('{"engine": "x"}\n{"name": \n{"name": "k"}\n')
    with pytest.raises(MeasureError, match="line 2"):
        Journal.open(path, {"engine": "x"})


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_error_on_a_truncated_bundle(bundle, tmp_path, size):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(bundle.read_bytes()[:size])
    with pytest.raises(MeasureError, match="damaged or truncated"):
        measure.read_manifest(cut)


def test_runs_alone_as_a_single_file(bundle, tmp_path):
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    shutil.copy(measure.__file__, alone / "measure.py")
    command = [sys.executable, "-I", "measure.py", str(bundle), "-o", "out.jsonl", "--passes", "1", "--seconds", "8"]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"complete": True}
    bad = subprocess.run(
        [sys.executable, "-I", "measure.py", "missing.zip", "-o", "x"], cwd=alone, capture_output=True, text=True
    )
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1


def test_imports_nothing_of_hwnas_torch_or_onnx():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import measure; "
        "print([name for name in ('hwnas', 'torch', 'onnx') if name in sys.modules])"
    )
    folder = measure.__file__.rsplit("/", 1)[0]
    done = subprocess.run([sys.executable, "-I", "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Clocks that jump


class Jumping:
    """A clock whose readings in seconds are shifted from the ``jumps``-th on, once each, by so much."""

    def __init__(self, read, jumps):
        self.read, self.jumps, self.readings, self.shift = read, dict(jumps), 0, 0

    def __call__(self):
        self.readings += 1
        self.shift += self.jumps.pop(self.readings, 0)
        return self.read() + self.shift


@pytest.mark.parametrize("jump_ns", [-(10**12), 10**12])
def test_a_clock_that_jumps_once_costs_one_sample(monkeypatch, jump_ns):
    monkeypatch.setattr(measure.time, "process_time_ns", Jumping(time.process_time_ns, {8: jump_ns}))
    monkeypatch.setattr(measure.time, "perf_counter_ns", Jumping(time.perf_counter_ns, {12: jump_ns}))
    samples = time_callable(lambda: busy(0.001), min_runs=15, max_seconds=0.0)
    for clock in ("cpu_ms", "wall_ms"):
        assert 0.5 < measure._summary(samples)[clock][3] < 5.0, clock


def test_a_clock_that_jumps_in_the_warm_up_does_not_multiply_the_runs(monkeypatch):
    monkeypatch.setattr(measure.time, "perf_counter", Jumping(time.perf_counter, {3: -1000.0}))
    assert time_callable(lambda: busy(0.001), min_runs=5, max_seconds=0.0, warmup_s=0.005).inner == 1


def test_a_clock_that_stands_still_costs_a_kernel_and_says_so(bundle, tmp_path, monkeypatch):
    kernels = measure.read_manifest(bundle)["kernels"]
    victim = kernels[1]["name"]
    real = measure.time_callable

    def stopped(run, **options):
        samples = real(run, **options)
        current = tmp_path / "m.jsonl.current"
        if options["max_seconds"] > 0.004 and current.exists() and current.read_text() == victim:
            samples.cpu_ms[:] = 0.0
        return samples

    monkeypatch.setattr(measure, "time_callable", stopped)
    monkeypatch.setattr(measure, "time_reference", lambda run, clock: real(run, min_runs=5, max_seconds=0.0))
    assert measure_bundle(bundle, tmp_path / "m.jsonl", passes=1, seconds=60)
    errors = [line for line in read_lines(tmp_path / "m.jsonl") if "error" in line]
    assert [(line["name"], line["error"]) for line in errors] == [
        (victim, "MeasureError: the cpu clock gave a time of 0.0 ms")
    ]


def test_the_time_of_day_decides_nothing(bundle, tmp_path):
    """It may be set back, or differ between a device's lives; the journal's order is what counts."""
    from hwnas.latency.summary import summarise

    out = tmp_path / "m.jsonl"
    measure_bundle(bundle, out, passes=2, seconds=30)
    before = summarise(out, [])
    lines = read_lines(out)
    for number, line in enumerate(lines[1:]):
        line["at"] = 1e9 - 1e5 * number
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert summarise(out, []) == before


# Engines


def test_the_setting_is_in_the_header(bundle, tmp_path):
    measure_bundle(bundle, tmp_path / "m.jsonl", passes=1, seconds=0.0)
    header = read_lines(tmp_path / "m.jsonl")[0]
    expected = {"engine": "onnxruntime", "precision": "fp32", "batch": 1, "threads": 1}
    assert {name: header[name] for name in expected} == expected
    assert header["engine_version"] == ENGINES["onnxruntime"].version()


def test_error_on_an_unknown_engine(bundle, tmp_path):
    with pytest.raises(MeasureError, match="unknown engine 'tflite': there are onnxruntime, "):
        measure_bundle(bundle, tmp_path / "m.jsonl", engine="tflite", passes=1)


@pytest.mark.parametrize(
    ("engine", "precision", "said"),
    [
        ("onnxruntime", "fp16", "not timed in fp16, only in fp32, int8"),
        ("onnxruntime", "int8", "holds fp32 graphs, and int8 in onnxruntime needs int8 graphs"),
        ("tensorrt", "int8", "needs int8-symmetric graphs"),
    ],
)
def test_error_on_a_precision_that_the_graphs_are_not_made_for(bundle, tmp_path, engine, precision, said):
    with pytest.raises(MeasureError, match=said):
        measure_bundle(bundle, tmp_path / "m.jsonl", engine=engine, precision=precision, passes=1)


def test_a_provider_that_is_missing_is_said(bundle):
    from hwnas.latency.measure import onnxruntime_options, onnxruntime_session
    from hwnas.latency.reference import reference_model

    if "CUDAExecutionProvider" in __import__("onnxruntime").get_available_providers():
        pytest.skip("the provider is there")
    with pytest.raises(MeasureError, match="cannot start its CUDAExecutionProvider"):
        onnxruntime_session(reference_model(), onnxruntime_options(1), "CUDA")


def test_openvino_times_the_same_bundle(bundle, tmp_path):
    pytest.importorskip("openvino", reason='openvino is not installed: pip install "hwnas[openvino]"')
    assert measure_bundle(bundle, tmp_path / "m.jsonl", engine="openvino", passes=1, seconds=60)
    header, *lines = read_lines(tmp_path / "m.jsonl")
    assert header["engine"] == "openvino" and header["precision"] == "fp32"
    assert not [line for line in lines if "error" in line]


TWO_AND_AN_ALARM = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
import measure
model = sys.stdin.buffer.read()
first = measure.openvino_compiled(model, "fp32", 1)
second = measure.openvino_compiled(model, "fp32", 1)
del first
del second
signal.signal(signal.SIGALRM, lambda *_: print("rang"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.1)
"""


def test_signals_are_survived_where_openvino_was_used():
    from hwnas.latency.reference import reference_model

    pytest.importorskip("openvino", reason='openvino is not installed: pip install "hwnas[openvino]"')
    command = [sys.executable, "-c", TWO_AND_AN_ALARM, measure.__file__.rsplit("/", 1)[0]]
    done = subprocess.run(command, input=reference_model(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"rang\n"), done.stderr


def test_inputs_of_bytes_are_bytes():
    made = measure.fixed_inputs([("a", (1, 2), np.dtype(np.uint8)), ("b", (1, 3), np.dtype(np.float16))])
    assert made["a"].dtype == np.uint8 and made["b"].dtype == np.float16
    assert made["b"].min() >= 0 and made["b"].max() <= 1


# Clocks of accelerators: no GPU is needed to see that they are read


class Stopwatch:
    """A device that always takes 2 ms."""

    def __init__(self):
        self.running = 0

    def start(self):
        self.running += 1

    def stop_ms(self):
        self.running -= 1
        return 2.0


def test_a_device_clock_times_every_run():
    clock = Stopwatch()
    samples = time_callable(lambda: None, min_runs=5, max_seconds=0.0, warmup_s=0.001, clock=clock)
    assert samples.inner == 1 and clock.running == 0
    assert samples.device_ms.tolist() == [2.0] * len(samples.wall_ms)
    assert measure._summary(samples)["device_ms"] == [2.0] * 5
    assert time_callable(lambda: None, min_runs=5, max_seconds=0.0).device_ms is None


def test_device_time_is_what_a_journal_of_a_gpu_is_summarised_by(bundle, tmp_path, monkeypatch):
    from hwnas.latency.bundle import read_bundle
    from hwnas.latency.profile import contract_of
    from hwnas.latency.summary import summarise

    adapter = measure.Adapter(
        "onnxruntime", {"fp32": "fp32"}, lambda m, s: measure.Opened(lambda: sum(range(5000)), Stopwatch())
    )
    monkeypatch.setitem(measure.ENGINES, "pretended", adapter)
    monkeypatch.setattr(measure, "gpu_facts", lambda: {"clocks.sm": "1410"})
    out = tmp_path / "m.jsonl"
    measure_bundle(bundle, out, engine="pretended", passes=1, seconds=20)
    reference = next(line for line in read_lines(out) if line.get("name") == "reference")
    assert reference["gpu"] == {"clocks.sm": "1410"}
    summary = summarise(out, [])
    assert {timing.ms for timing in summary.timings.values()} == {2.0}
    assert contract_of(read_bundle(bundle), summary).clock == "device"


class Driver:
    """What of libcuda is called, every call a success but one."""

    def __init__(self, failing=""):
        self.called, self.failing = [], failing

    def __getattr__(self, name):
        def call(*arguments):
            self.called.append(name)
            return 700 if name == self.failing else 0

        return call


def test_the_gpu_is_driven_in_order(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(measure.ctypes, "CDLL", lambda name: driver)
    gpu = measure.Gpu()
    gpu.start()
    assert gpu.stop_ms() == 0.0
    address = gpu.buffer(12)
    gpu.write(address, np.zeros(3, np.float32))
    gpu.read(np.empty(3, np.float32), address)
    assert driver.called[0] == "cuInit"
    assert driver.called.index("cuCtxSetCurrent") < driver.called.index("cuEventCreate")
    copies = ["cuMemAlloc_v2", "cuMemcpyHtoD_v2", "cuStreamSynchronize", "cuMemcpyDtoH_v2"]
    assert [name for name in driver.called if name in copies] == copies
    driver.called.clear()
    launch = gpu.recorded(lambda: driver.called.append("a kernel"))
    launch()
    recording = ["cuStreamBeginCapture_v2", "a kernel", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
    assert driver.called == [*recording, "cuGraphLaunch"]
    del gpu, launch
    assert driver.called[-1] == "cuMemFree_v2"


def test_error_when_the_driver_fails(monkeypatch):
    monkeypatch.setattr(measure.ctypes, "CDLL", lambda name: Driver(failing="cuStreamCreate"))
    with pytest.raises(MeasureError, match=r"cuStreamCreate \(CUDA error 700\)"):
        measure.Gpu()


def test_a_gpu_is_its_own_device(monkeypatch):
    monkeypatch.setattr(measure, "gpu_facts", lambda: {"name": "NVIDIA X", "driver_version": "1", "clocks.max.sm": "9"})
    found = ENGINES["tensorrt"].fingerprint()
    assert (found["device"], found["governor"]) == ("NVIDIA X (driver 1)", "SM clock up to 9 MHz")


class Moody:
    """A machine whose reference kernel takes ``levels_ms`` one after another, without the wait."""

    def __init__(
        self, levels_ms: list[float], seconds: float = 100.0, seen_ms: tuple[float, ...] = (1.0,) * 20
    ) -> None:
        self.levels_ms, self.blocks = levels_ms, 0
        self.pace = Pace(Opened(lambda: None), seconds, (1.0,) * 20)

    def look(self) -> float:
        level = self.levels_ms.pop(0) if len(self.levels_ms) > 1 else self.levels_ms[0]
        self.pace._seen_ms.append(level)
        return level

    def timed(self, monkeypatch, patience_s: float) -> tuple[float, ...]:
        monkeypatch.setattr(self.pace, "look", self.look)

        def block() -> Samples:
            self.blocks += 1
            return Samples(np.ones(3), np.ones(3), np.zeros(3, bool), 1, 1)

        return self.pace.timed(block, patience_s)[1]


def test_a_block_waits_for_a_quick_moment_and_is_done_again_when_it_ends(monkeypatch) -> None:
    machine = Moody([1.3, 1.2, 1.01, 1.4, 1.0, 1.02])
    assert machine.timed(monkeypatch, 5.0) == (1.0, 1.02)
    assert machine.blocks == 2


def test_patience_ends_and_the_levels_tell(monkeypatch) -> None:
    machine = Moody([1.3])
    assert machine.timed(monkeypatch, 0.1) == (1.3, 1.3)
    assert machine.blocks == 1
    assert Moody([1.3]).timed(monkeypatch, HURRY_S / 2) == ()  # in a hurry nobody looks
    spent = Moody([1.3], seconds=0.0)
    assert spent.timed(monkeypatch, 1.0) == (1.3, 1.3) and spent.blocks == 1


def test_blocks_of_slow_moments_count_only_where_there_are_no_others() -> None:
    def line(name: str, *beside_ms: float) -> dict[str, object]:
        return {"name": name, **({"beside_ms": list(beside_ms)} if beside_ms else {})}

    quick = [line("a", 1.0, 1.01), line("a", 1.0, 1.05)]
    slow = [line("b", 1.2, 1.0), line("b", 1.5, 1.5)]
    assert calm_blocks([*quick, line("a", 1.0, 1.3), line("a"), *slow]) == [*quick, slow[0]]
    assert calm_blocks([line("a"), line("b")]) == [line("a"), line("b")]
