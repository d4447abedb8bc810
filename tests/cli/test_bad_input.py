"""Every mistake and mishap that users are promised an answer to: one sentence, a hint, exit code 2, nothing damaged."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_world import FASTEST_MS, SIZE, SIZE_HW, SPACE, folder_data, snapshot

from hwnas.cli.main import main
from hwnas.exporters.artifact import open_artifact
from hwnas.latency.table import LatencyTable, load_table, save_table

Capture = pytest.CaptureFixture[str]
NET = "fast-scnn"


def refused(capsys: Capture, *arguments: object) -> tuple[str, str]:
    """Run a command that must be refused, as text and as JSON; its sentence and its hint."""
    words = [str(word) for word in arguments]
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert set(document) == {"error", "hint"}
    message, hint = str(document["error"]), str(document["hint"])
    assert message and hint
    assert "\n" not in message and "Traceback" not in err

    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1 and "Traceback" not in err
    assert [line for line in lines if line.startswith("hint: ")]
    return message, hint


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a sound data set, for a test to break."""
    root = tmp_path / "data"
    folder_data(root)
    return root


def deploy(
    data: str, table: Path, run: Path, *, budget: str = "--budget=50ms", size: str = f"--size={SIZE}"
) -> list[object]:
    words = ["deploy", "--data", data, size, budget, "--minutes=0.1", f"--space={SPACE}"]
    return [*words, "--table", table, "--run", run]


def search(data: str, table: Path, run: Path, *, budget: str = "--budget=50ms") -> list[object]:
    return ["search", *deploy(data, table, run, budget=budget)[1:]]


def train(data: str, run: Path) -> list[object]:
    return ["train", NET, "--data", data, "--size", SIZE, "--minutes", "0.1", "--run", run]


# Data sets


def without_folder(root: Path) -> str:
    shutil.rmtree(root)
    return "does not exist"


def image_without_mask(root: Path) -> str:
    (root / "masks" / "train" / "03.png").unlink()
    return "03.png"


def val_image_without_mask(root: Path) -> str:
    (root / "masks" / "val" / "01.png").unlink()
    return "01.png"


def label_out_of_range(root: Path) -> str:
    path = root / "masks" / "train" / "05.png"
    mask = np.array(Image.open(path))
    mask[0, :3] = 9
    Image.fromarray(mask).save(path)
    return "label 9 in 3 pixels"


def corrupt_png(root: Path) -> str:
    path = root / "images" / "train" / "02.png"
    path.write_bytes(path.read_bytes()[:200])
    return "02.png"


def not_an_image(root: Path) -> str:
    (root / "images" / "train" / "02.png").write_text("this is text")
    return "02.png"


def other_size_than_mask(root: Path) -> str:
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(root / "masks" / "train" / "01.png")
    return "01.png"


DATA_FAULTS: list[Callable[[Path], str]] = [
    without_folder,
    image_without_mask,
    val_image_without_mask,
    label_out_of_range,
    corrupt_png,
    not_an_image,
    other_size_than_mask,
]


@pytest.mark.parametrize("fault", DATA_FAULTS, ids=lambda fault: fault.__name__)
def test_faulty_data(
    fault: Callable[[Path], str], data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = fault(data)
    before = snapshot(tmp_path)
    for command in (
        deploy(f"folder:{data}", small_table, tmp_path / "deployed"),
        search(f"folder:{data}", small_table, tmp_path / "searched"),
        train(f"folder:{data}", tmp_path / "trained"),
    ):
        message, _ = refused(capsys, *command)
        assert said in message
    assert before.items() <= snapshot(tmp_path).items()


@pytest.mark.parametrize("fault", [without_folder, image_without_mask], ids=lambda fault: fault.__name__)
def test_what_can_be_seen_at_once_leaves_no_run_behind(
    fault: Callable[[Path], str], data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    fault(data)
    refused(capsys, *deploy(f"folder:{data}", small_table, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--set", "precision=fp16"], "fp16"),
        (["--set", "drop_path=0.2"], "drop_path"),
        (["--set", "loss_stride=200"], "loss_stride"),
        (["--log", "bogus"], "bogus"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_last_training_that_cannot_be_is_refused_before_the_search(
    wrong: list[str], said: str, data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    message, _ = refused(capsys, *deploy(f"folder:{data}", small_table, tmp_path / "run"), *wrong)
    assert said in message
    assert not (tmp_path / "run").exists()


def test_artifact_of_other_classes_than_the_data(data: Path, tmp_path: Path, capsys: Capture) -> None:
    engine = tmp_path / "engine"
    words = ["export", NET, "--size", SIZE, "--classes", "5", "--random-weights", "-o", str(engine), "-q"]
    assert main(words) == 0
    capsys.readouterr()
    manifest = open_artifact(engine / "logits").manifest
    assert manifest is not None and not manifest.trained
    before = snapshot(tmp_path)
    message, _ = refused(capsys, "validate", engine, "--data", f"folder:{data}", "--budget", "50ms")
    assert "5 classes" in message and "has 2" in message
    assert snapshot(tmp_path) == before


# Budgets and sizes


@pytest.mark.parametrize(
    ("budget", "said"),
    [("0ms", "not positive"), ("-3ms", "not positive"), ("-0.0s", "not positive"), ("0fps", "not positive")]
    + [(text, "not a latency") for text in ("fast", "nan", "inf", "10 minutes", "")],
)
def test_budget_that_is_none(
    budget: str, said: str, data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    for command in (deploy, search):
        words = command(f"folder:{data}", small_table, tmp_path / "run", budget=f"--budget={budget}")
        assert said in refused(capsys, *words)[0]
    assert said in refused(capsys, "validate", tmp_path, "--data", f"folder:{data}", f"--budget={budget}")[0]
    assert not (tmp_path / "run").exists()


def test_budget_that_nothing_meets_names_the_fastest(
    data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    before = snapshot(tmp_path)
    for command, place in ((deploy, "deployed"), (search, "searched")):
        words = command(f"folder:{data}", small_table, tmp_path / place, budget="--budget=0.01ms")
        message, hint = refused(capsys, *words)
        found = re.search(r"the fastest is ([0-9.]+) ms", message)
        assert found and FASTEST_MS < float(found[1]) < 1
        assert "raise the budget" in hint and f"--table {tmp_path / place / 'table.json'}" in hint
    assert before.items() <= snapshot(tmp_path).items()


@pytest.mark.parametrize("size", ["big", "64", "64x", "64x-96", "0x96", "64x96x3", "6.4x96", ""])
def test_size_that_is_none(size: str, data: Path, small_table: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    for words in (
        deploy(f"folder:{data}", small_table, run, size=f"--size={size}"),
        ["train", NET, "--data", f"folder:{data}", f"--size={size}", "--run", run],
        ["export", NET, f"--size={size}", "--random-weights", "-o", tmp_path / "engine"],
        ["profile", f"--size={size}", "-o", tmp_path / "made.json"],
    ):
        assert "size" in refused(capsys, *words)[0].lower()
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_size_that_no_network_fits(data: Path, tmp_path: Path, capsys: Capture) -> None:
    message, _ = refused(capsys, "export", NET, "--size", "8x8", "--random-weights", "-o", tmp_path / "engine")
    assert "8x8 is too small" in message


# Latency tables


def elsewhere(**changes: object) -> Callable[[LatencyTable], LatencyTable]:
    return lambda table: replace(table, contract=replace(table.contract, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (elsewhere(size_hw=(96, 128)), "size_hw"),
        (elsewhere(engine_version="0.9"), "engine_version"),
        (elsewhere(engine="openvino"), "engine"),
        (elsewhere(device="another processor"), "device"),
        (elsewhere(threads=7), "threads"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_table_of_another_setting(
    change: Callable[[LatencyTable], LatencyTable],
    field: str,
    data: Path,
    small_table: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    table = tmp_path / "other.json"
    save_table(change(load_table(small_table)), table)
    before = snapshot(tmp_path)
    for command in (deploy, search):
        message, _ = refused(capsys, *command(f"folder:{data}", table, tmp_path / "run"))
        assert f"({field}: " in message
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_truncated_table(part: float, data: Path, small_table: Path, tmp_path: Path, capsys: Capture) -> None:
    table = cut(small_table, tmp_path / "cut.json", part)
    before = snapshot(tmp_path)
    for words in (
        deploy(f"folder:{data}", table, tmp_path / "run"),
        search(f"folder:{data}", table, tmp_path / "run"),
        ["predict", NET, "--table", table],
    ):
        assert "cut.json" in refused(capsys, *words)[0]
    assert snapshot(tmp_path) == before


def test_missing_table(data: Path, tmp_path: Path, capsys: Capture) -> None:
    for words in (
        deploy(f"folder:{data}", tmp_path / "none.json", tmp_path / "run"),
        ["predict", NET, "--table", tmp_path / "none.json"],
    ):
        assert "none.json" in refused(capsys, *words)[0]


# Genotypes and weights


def cut(source: Path, target: Path, part: float) -> Path:
    """The first ``part`` of a file, in another."""
    content = source.read_bytes()
    target.write_bytes(content[: int(part * len(content))])
    return target


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_truncated_genotype(part: float, data: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["sample", "--space", SPACE, "-o", str(tmp_path), "-q"]) == 0
    (whole,) = tmp_path.glob("*.json")
    genotype = cut(whole, tmp_path / "cut.json", part)
    capsys.readouterr()
    before = snapshot(tmp_path)
    for words in (
        ["cost", genotype, "--size", SIZE],
        ["compile", genotype, "--size", SIZE, "-o", tmp_path / "model.py"],
        ["export", genotype, "--size", SIZE, "--random-weights", "-o", tmp_path / "engine"],
        ["train", genotype, "--data", f"folder:{data}", "--size", SIZE, "--run", tmp_path / "run"],
    ):
        assert "cut.json" in refused(capsys, *words)[0]
    assert snapshot(tmp_path) == before


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network's weights, beside its genotype."""
    from hwnas.compiler.network import compile_graph
    from hwnas.data.base import ClassInfo
    from hwnas.skeletons.base import expand
    from hwnas.training.network_files import WEIGHTS, save_network
    from hwnas.zoo.catalog import load

    folder = tmp_path_factory.mktemp("weights")
    classes = (ClassInfo("sky", (0, 0, 9)), ClassInfo("road", (9, 0, 0)))
    save_network(folder, load(NET), compile_graph(expand(load(NET), (3, *SIZE_HW), 2), seed=0), classes)
    return folder / WEIGHTS


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights(part: float, weights: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    damaged = cut(weights, tmp_path / "cut.safetensors", part)
    before = snapshot(tmp_path)
    for words in (
        ["export", NET, "--weights", damaged, "-o", tmp_path / "engine"],
        [*train(f"folder:{data}", tmp_path / "run"), "--weights", damaged],
    ):
        assert "cut.safetensors" in refused(capsys, *words)[0]
    assert snapshot(tmp_path) == before


def test_weights_of_another_network(weights: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["sample", "--space", SPACE, "-o", str(tmp_path), "-q"]) == 0
    (other,) = tmp_path.glob("*.json")
    capsys.readouterr()
    refused(capsys, "export", other, "--weights", weights, "-o", tmp_path / "engine")
    refused(capsys, "export", NET, "--weights", other, "-o", tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


# Run directories


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A run directory at which another process is at work."""
    path = tmp_path / "busy"
    code = f"""
import sys
from pathlib import Path
from hwnas.rundir import RunDir
with RunDir.open(Path({str(path)!r}), {{}}):
    print("at work", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "at work\n"
        yield path
        process.stdin.close()
        assert process.wait(30) == 0


def test_run_directory_that_is_running(busy: Path, data: Path, small_table: Path, capsys: Capture) -> None:
    before = snapshot(busy)
    for words in (
        deploy(f"folder:{data}", small_table, busy),
        search(f"folder:{data}", small_table, busy),
        train(f"folder:{data}", busy),
    ):
        for more in ([], ["--resume"]):
            message, _ = refused(capsys, *words, *more)
            assert "already running" in message and "pid" in message
    assert snapshot(busy) == before


def test_folder_that_holds_other_things(data: Path, small_table: Path, capsys: Capture) -> None:
    before = snapshot(data)
    for words in (deploy(f"folder:{data}", small_table, data), train(f"folder:{data}", data)):
        for more in ([], ["--resume"]):
            message, _ = refused(capsys, *words, *more)
            assert "not a run" in message
    assert snapshot(data) == before


def test_run_of_other_settings(data: Path, small_table: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    refused(capsys, *deploy(f"folder:{data}", small_table, run, budget="--budget=0.01ms"))
    before = snapshot(run)
    message, _ = refused(capsys, *deploy(f"folder:{data}", small_table, run), "--resume")
    assert "budget_ms = 0.01, not 50.0" in message
    assert {**snapshot(run), ".lock": ""} == {**before, ".lock": ""}  # which names its last holder
    refused(capsys, *deploy(f"folder:{data}", small_table, tmp_path / "none"), "--resume")
    assert not (tmp_path / "none").exists()


# Names


@pytest.mark.parametrize(
    ("option", "near"),
    [
        ("--space=smal-world", SPACE),
        ("--space=realtme", "realtime"),
        ("--strategy=evolutoin", "evolution"),
        ("--data=street", "streets"),
        ("--data=foldr:x", "folder"),
    ],
)
def test_unknown_names_offer_near_ones(
    option: str, near: str, data: Path, small_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    for command in (deploy, search):
        _, hint = refused(capsys, *command(f"folder:{data}", small_table, tmp_path / "run"), option)
        assert f"did you mean {near}" in hint
    assert not (tmp_path / "run").exists()


def test_unknown_network_offers_near_ones(data: Path, tmp_path: Path, capsys: Capture) -> None:
    for words in (
        ["cost", "fast-scn"],
        ["train", "fast-scn", "--data", f"folder:{data}", "--size", SIZE, "--run", tmp_path / "run"],
        ["export", "fast-scn", "--size", SIZE, "--random-weights", "-o", tmp_path / "engine"],
    ):
        message, hint = refused(capsys, *words)
        assert "fast-scn" in message and NET in hint
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


# A full disk (test_deploy has a real one)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new file is refused for want of space."""

    def no_space(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(options.get("dir")))

    monkeypatch.setattr("tempfile.mkstemp", no_space)
    monkeypatch.setattr("tempfile.mkdtemp", no_space)


@pytest.mark.usefixtures("full_disk")
def test_full_disk(data: Path, small_table: Path, weights: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.py").write_text("old")
    before = snapshot(tmp_path)
    for words in (
        deploy(f"folder:{data}", small_table, tmp_path / "run"),
        train(f"folder:{data}", tmp_path / "trained"),
        ["sample", "-o", tmp_path / "old"],
        ["compile", NET, "--size", SIZE, "-o", tmp_path / "old" / "model.py"],
        ["draw", NET, "--size", SIZE, "-o", tmp_path / "old" / "pictures"],
        ["export", NET, "--weights", weights, "-o", tmp_path / "old" / "engine"],
        ["profile", "--space", SPACE, "--size", SIZE, "--classes", "2", "--minutes", "0.1", "-o", tmp_path / "t.json"],
    ):
        message, hint = refused(capsys, *words)
        assert "No space left" in message or "disk is full" in message
        assert "free some space" in hint
    assert before.items() <= snapshot(tmp_path).items()
