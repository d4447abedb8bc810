"""``hwnas train`` as its users have it: recipes, teachers, logs, views of val, and resumption after a kill."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Command, promised, run
from PIL import Image
from small_world import SIZE, SPACE, folder_data

STEPS = 6
SMALL = ["--set", "batch=2", "--set", "crop=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def genotype(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    assert run("sample", "--space", SPACE, "-o", folder).code == 0
    (path,) = folder.glob("*.json")
    return path


def words(genotype: Path | str, data: str, place: Path, *more: object) -> list[object]:
    return ["train", genotype, "--data", data, "--size", SIZE, "--steps", STEPS, "--run", place, *SMALL, *more]


def trained(*given: Any) -> dict[str, Any]:
    ended = run(*words(*given))
    assert ended.code == 0, ended.document
    return ended.document


@pytest.fixture(scope="module")
def teacher(genotype: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run whose network is a teacher."""
    return Path(trained(genotype, data, tmp_path_factory.mktemp("teacher") / "run")["run"])


@pytest.fixture(scope="module")
def engine(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, exported: a folder with logits and labels."""
    folder = tmp_path_factory.mktemp("engine")
    assert run("export", teacher, "-o", folder).code == 0
    return folder


def test_logs_recipe_and_views_of_val(genotype: Path, data: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"loss": "ohem+dice", "schedule": "cosine", "ema": 0.9, "lr": 1}))
    more = ["--recipe", recipe, "--set", "lr=0.01", "--log", "csv", "--eval-scales", "0.75,1", "--eval-flip"]
    ended = run(*words(genotype, data, tmp_path / "run", *more))
    assert ended.code == 0, ended.document
    document = ended.document
    assert set(document) >= promised("train")
    assert document["steps"] == STEPS
    assert document["folding"]["agrees"] and document["folding"]["max_relative"] < 1e-3
    assert document["views"]["scales"] == [0.75, 1.0] and document["views"]["flip"]
    assert 0 <= document["views"]["miou"] <= 1 and 0 <= document["views"]["miou_plain"] <= 1
    with (tmp_path / "run" / "train.csv").open() as stream:
        (line,) = csv.DictReader(stream)
    assert int(line["step"]) == STEPS and float(line["loss"]) == document["loss"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert config["recipe"]["loss"] == "ohem+dice" and config["recipe"]["lr"] == 0.01
    assert not list((tmp_path / "run").glob("*checkpoint*"))


def test_val_is_not_read_without_views(genotype: Path, data: str, tmp_path: Path) -> None:
    ended = run(*words(genotype, data, tmp_path / "run"))
    assert ended.document["views"] is None
    assert {read.split for read in ended.reads} == {"train"}


def test_tensorboard_gets_what_is_logged(genotype: Path, data: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    document = trained(genotype, data, tmp_path / "run", "--log", "tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    (scalar,) = events.Scalars("train/loss")
    assert scalar.step == STEPS and scalar.value == pytest.approx(document["loss"])


def test_a_killed_training_ends_in_the_same_file(genotype: Path, data: str, tmp_path: Path) -> None:
    more = ["--deterministic", "--set", "ema=0.9", "--set", "full_size=0.4", "--set", "crop=0.5"]
    whole, place = tmp_path / "whole", tmp_path / "run"
    trained(genotype, data, whole, *more)
    script = Path(__file__).with_name("train_to_be_killed.py")
    threads = ["--threads", str(torch.get_num_threads())]
    dead = subprocess.run(
        [sys.executable, str(script), "3", *map(str, words(genotype, data, place, *more, *threads))],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert dead.returncode == -9, dead.stderr
    assert (place / "train.checkpoint.safetensors").is_file() and not (place / "weights.safetensors").exists()

    changed = run(*words(genotype, data, place, *more, "--set", "lr=0.5", "--resume"))
    assert changed.code == 2 and "recipe.lr = 0.01, not 0.5" in changed.document["error"]
    damaged = tmp_path / "damaged"
    shutil.copytree(place, damaged)
    content = (place / "train.checkpoint.safetensors").read_bytes()
    (damaged / "train.checkpoint.safetensors").write_bytes(content[:-100])
    refused = run(*words(genotype, data, damaged, *more, *threads, "--resume"))
    assert refused.code == 2 and "damaged" in refused.document["error"] and "delete" in refused.document["hint"]

    ended = run(*words(genotype, data, place, *more, *threads, "--resume"))
    assert ended.code == 0, ended.document
    assert (place / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    again = run(*words(genotype, data, place, *more, *threads, "--resume"))
    assert again.document == ended.document


def test_teachers_of_all_kinds(teacher: Path, engine: Path, genotype: Path, data: str, tmp_path: Path) -> None:
    by_weights = [genotype, "--teacher-weights", teacher / "weights.safetensors"]
    whole = ["--set", "full_size=0"]
    for number, named in enumerate(([teacher], by_weights, [engine / "logits"], [engine / "logits" / "model.onnx"])):
        place = tmp_path / str(number)
        trained(genotype, data, place, *whole, "--seed", 3, "--teacher", *named)
        (line,) = (json.loads(text) for text in (place / "train.jsonl").read_text().splitlines())
        assert line["distillation"] > 0 and line["loss"] > line["distillation"]
    losses = [json.loads((tmp_path / name / "train.json").read_text())["loss"] for name in "0123"]
    assert losses[0] == losses[1] and losses[2] == losses[3]
    assert losses[0] == pytest.approx(losses[2], rel=1e-3)


def refused(ended: Command, *texts: str) -> None:
    assert ended.code == 2, ended.document
    said = ended.document["error"] + ended.document["hint"]
    assert all(text in said for text in texts), said


def test_error_on_teachers_that_do_not_fit(
    teacher: Path, engine: Path, genotype: Path, data: str, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    crops = words(genotype, data, place, "--set", "crop=0.5", "--teacher", engine / "logits")
    refused(run(*crops), "takes images of 64x96", "32x48", "full_size=1")
    refused(run(*words(genotype, data, place, "--teacher", engine / "labels")), "labels, not logits")
    refused(run(*words(genotype, data, place, "--teacher", genotype)), "has no weights", "--teacher-weights")
    refused(run(*words(genotype, data, place, "--teacher", tmp_path / "none.onnx")), "none.onnx")
    other = folder_data(tmp_path / "other")
    (tmp_path / "other" / "classes.txt").write_text("sky\nsea\n")
    refused(run(*words(genotype, other, place, "--teacher", teacher)), "'road'", "'sea'")
    (tmp_path / "other" / "classes.txt").write_text("sky\nroad\nsea\n")
    refused(run(*words(genotype, other, place, "--teacher", teacher)), "knows 2 classes, and the data has 3")
    assert not place.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "lr"], "--set"),
        (["--set", "learning_rate=1"], "learning_rate"),
        (["--set", "loss=ce+mse"], "loss"),
        (["--set", "precision=fp16"], "fp16"),
        (["--set", "drop_path=0.2"], "drop_path"),
        (["--set", "loss_stride=200"], "loss_stride"),
        (["--log", "wandb"], "wandb"),
        (["--eval-scales", "big"], "big"),
        (["--device", "cuda"], "cuda"),
        (["--devices", "1000"], "1000 processes"),
        (["--deterministic", "--minutes", "1"], "--steps"),
    ],
)
def test_error_on_options_that_cannot_be(more: list[str], said: str, genotype: Path, data: str, tmp_path: Path) -> None:
    if "cuda" in more and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    refused(run(*words(genotype, data, tmp_path / "run", *more)), said)
    assert not (tmp_path / "run").exists()


def test_two_devices_train_one_network(data: str, tmp_path: Path) -> None:
    """Of the zoo: the other process knows no space that only tests have."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one core here, and two processes need two")
    document = trained("fast-scnn", data, tmp_path / "run", "--devices", 2)
    assert document["steps"] == STEPS
    lines = [json.loads(line) for line in (tmp_path / "run" / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS]
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_a_diverging_training_leaves_a_state_to_start_from(genotype: Path, data: str, tmp_path: Path) -> None:
    place = tmp_path / "run"
    wild = ["--set", "optimizer=sgd", "--set", "lr=1e30", "--set", "warmup=0", "--set", "clip_norm=0"]
    refused(run(*words(genotype, data, place, *wild)), "diverged", "lower the learning rate", "--weights")
    state = place / "train.checkpoint.safetensors"
    assert trained(genotype, data, tmp_path / "tamer", "--weights", state)["steps"] == STEPS


def test_a_class_that_val_does_not_show_is_named(genotype: Path, tmp_path: Path) -> None:
    data = folder_data(tmp_path / "data")
    for path in (tmp_path / "data" / "masks" / "val").iterdir():
        Image.fromarray(np.zeros((64, 96), np.uint8)).save(path)
    ended = run(*words(genotype, data, tmp_path / "run", "--eval-flip"))
    assert ended.code == 0
    assert "the split val" in ended.said and "of class road" in ended.said


def test_validate_states_views_by_themselves(teacher: Path, engine: Path, data: str, tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(teacher, place)
    shutil.copytree(engine, place / "engine")
    judge = ["--data", data, "--budget", "1s", "--eval-scales", "1,1.5"]
    ended = run("validate", place, *judge)
    assert ended.code == 0, ended.document
    views = ended.document["views"]
    assert views["scales"] == [1.0, 1.5] and not views["flip"] and views["miou"] != ended.document["miou"]
    refused(run("validate", engine / "logits", *judge), "PyTorch", "--eval-scales")
