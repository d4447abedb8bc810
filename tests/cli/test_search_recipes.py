"""Searches of recipes, of one network or with a space's; of quantized accuracy; with an end by number."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Command, run
from small_world import DECISIONS, SIZE, SIZE_HW, SPACE, SmallWorld, folder_data

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.recipes import recipe_of
from hwnas.cli.settings import networks_of
from hwnas.cli.stages.data import open_training_data
from hwnas.cli.stages.searching import score_size, shown_to_slices
from hwnas.cli.stages.workers import Work, module_of
from hwnas.ir.serialize import genotype_to_dict, load_genotype, save_genotype
from hwnas.progress import Silent
from hwnas.search.evaluators.cached import Cached
from hwnas.search.strategy import Request


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("recipes") / "data")


def searched(data: str, table: Path, folder: Path, *words: object) -> Command:
    given = ["--data", data, "--size", SIZE, "--budget", "100ms", "--minutes", "0.2", "--train-steps", 4]
    return run("search", *given, "--table", table, "--run", folder, *words)


def trials(folder: Path) -> list[dict[str, Any]]:
    return run("trials", folder).document["trials"]


def test_the_recipe_of_one_network_is_searched(data: str, small_table: Path, tmp_path: Path) -> None:
    genotype, folder = SmallWorld().decode(DECISIONS).genotype, tmp_path / "run"
    save_genotype(genotype, tmp_path / "net.json")
    words = ["--network", tmp_path / "net.json", "--vary", "lr=0.003,0.01", "--vary", "optimizer"]
    words += ["--vary", "momentum=0.8,0.9", "--strategy", "random", "--evaluations", 3]
    ended = searched(data, small_table, folder, *words)
    assert ended.code == 0, ended.said
    found = ended.document
    assert {"lr", "optimizer"} <= set(found["recipe"]) <= {"lr", "optimizer", "momentum"}
    assert found["decisions"] == {f"recipe.{name}": value for name, value in found["recipe"].items()}
    assert load_genotype(folder / "genotype.json") == genotype
    assert json.loads((folder / "recipe.json").read_text()) == found["recipe"]
    assert recipe_of(folder / "recipe.json", []).lr == found["recipe"]["lr"]
    recorded = trials(folder)
    assert 1 <= len(recorded) == found["evaluations"] <= 3
    assert {json.dumps(each["recipe"]) for each in recorded} >= {json.dumps(found["recipe"])}
    assert len({json.dumps(each["recipe"]) for each in recorded}) == len(recorded)
    best = max(each["values"]["miou"] for each in recorded)
    assert found["slice_miou"] == best  # recipes are chosen by the scores of whole trainings
    identities = [json.loads(line)["identity"] for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert {each["recipe"]["lr"] for each in identities} <= {0.003, 0.01}
    assert {each.split for each in ended.reads} == {"train"}
    assert not (folder / "supernet.safetensors").exists()


def test_recipes_and_networks_are_searched_together_by_their_quantized_accuracy(
    data: str, small_table: Path, tmp_path: Path
) -> None:
    words = ["--space", SPACE, "--objective", "miou_int8", "--limit", "miou=0.01", "--evaluations", 2]
    ended = searched(data, small_table, tmp_path / "run", *words, "--vary", "loss=ce,ohem")
    assert ended.code == 0, ended.said
    found = ended.document
    assert found["objective"]["metrics"] == {"miou_int8": "max"} and found["objective"]["limits"]["miou"] == 0.01
    assert set(found["qualities"]) == {"miou", "miou_int8"} and 0 <= found["qualities"]["miou_int8"] <= 1
    assert found["recipe"]["loss"] in ("ce", "ohem")
    for each in trials(tmp_path / "run"):
        assert {"stem", "width", "recipe.loss"} <= set(each["decisions"]) and set(each["recipe"]) == {"loss"}
        assert 0 <= each["values"]["miou_int8"] <= 1
        assert (each["status"] == "ok") == (each["values"]["miou"] >= 0.01)
    assert {each.split for each in ended.reads} == {"train"}
    other = searched(data, small_table, tmp_path / "run", *words, "--vary", "lr", "--resume")
    assert other.code == 2 and "vary" in other.document["error"]


def test_slices_are_quantized_at_the_size_that_they_are_scored_at(data: str) -> None:
    opened = open_training_data(data, SIZE_HW, Silent())
    shown = shown_to_slices(opened)()
    assert shown.images.shape[1:3] == shown.masks.shape[1:3] == score_size(opened) == (32, 48)
    assert len(shown.images) == len(opened.held) and len(shown.calibration) == len(opened.train)


def test_a_worker_of_its_own_process_makes_the_same_of_it(data: str, tmp_path: Path) -> None:
    network = json.loads(json.dumps(genotype_to_dict(SmallWorld().decode(DECISIONS).genotype)))
    options = EvaluatorOptions("training", 2)
    work = Work(module_of(networks_of("", network)), "", options, data, SIZE_HW, tmp_path, 0, 1, network=network)
    evaluator = replace(work, vary=("lr=0.003,0.01",), qualities=("miou_int8",))()
    request = Request({"recipe.lr": 0.003}, 0)
    outcome = evaluator.evaluate(request)
    assert outcome.status == "ok" and set(outcome.values) == {"miou", "miou_int8", "steps"}
    assert isinstance(evaluator, Cached) and evaluator.identity(request)["recipe"]["lr"] == 0.003


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "fast-scnn"], "nothing to search: fast-scnn is one network"),
        (["--network", "fast-scnn", "--space", SPACE], "instead of a space's"),
        (["--network", "no-such-net", "--vary", "lr"], "no-such-net"),
        (["--vary", "lr", "--evaluator", "slices"], "cannot tell one recipe from another"),
        (["--vary", "lr", "--evaluator", "ladder", "--rungs", "slices@0.1,training@1"], "one recipe from another"),
        (["--vary", "lrr=1,2"], "no field 'lrr'"),
        (["--vary", "lr", "--strategy", "greedynas", "--sampler", "greedynas"], "none is trained here"),
        (["--method", "darts", "--vary", "lr"], "learns by gradients"),
        (["--evaluations", "0"], "0 evaluations find nothing"),
        (["--evaluations", "-3"], "-3 evaluations find nothing"),
        (["--limit", "miou_int8=2"], "no network has a miou_int8 of 2"),
        (["--objective", "miou_int8", "--evaluator", "features"], "no network to quantize"),
        (["--objective", "hinge:latency_ms=1,of=params"], "cannot weigh params"),
    ],
)
def test_mistakes_are_told(words: list[str], message: str, data: str, small_table: Path, tmp_path: Path) -> None:
    own = [] if "--network" in words or "--space" in words or "--method" in words else ["--space", SPACE]
    ended = searched(data, small_table, tmp_path / "run", *own, *words)
    assert ended.code == 2
    assert re.search(message, ended.document["error"]), ended.document
    assert not (tmp_path / "run").exists()
