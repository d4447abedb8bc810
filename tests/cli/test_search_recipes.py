"""Searches of recipes, of one network or with a space's; of quantized accuracy; with an end by number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import Command, run
from small_world import SIZE, SPACE, SmallWorld, folder_data

from hwnas.cli.recipes import recipe_of
from hwnas.ir.serialize import load_genotype, save_genotype

DECISIONS = {"stem": 8, "width": 16, "depth": 1, "block1": "conv_3x3", "fuse": False}


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


def test_recipes_and_networks_are_searched_together(data: str, small_table: Path, tmp_path: Path) -> None:
    words = ["--space", SPACE, "--vary", "loss=ce,ohem", "--evaluations", 2]
    ended = searched(data, small_table, tmp_path / "run", *words)
    assert ended.code == 0, ended.said
    for each in trials(tmp_path / "run"):
        assert {"stem", "width", "recipe.loss"} <= set(each["decisions"]) and set(each["recipe"]) == {"loss"}
    assert ended.document["recipe"]["loss"] in ("ce", "ohem")
    other = searched(data, small_table, tmp_path / "run", *words[:2], "--vary", "lr", *words[4:], "--resume")
    assert other.code == 2 and "vary" in other.document["error"]


def test_quantized_accuracy_is_the_objective(data: str, small_table: Path, tmp_path: Path) -> None:
    words = ["--space", SPACE, "--objective", "miou_int8", "--limit", "miou=0.01", "--evaluations", 2]
    ended = searched(data, small_table, tmp_path / "run", *words)
    assert ended.code == 0, ended.said
    found = ended.document
    assert found["objective"]["metrics"] == {"miou_int8": "max"} and found["objective"]["limits"]["miou"] == 0.01
    assert set(found["qualities"]) == {"miou", "miou_int8"} and 0 <= found["qualities"]["miou_int8"] <= 1
    for each in trials(tmp_path / "run"):
        assert 0 <= each["values"]["miou_int8"] <= 1
        assert (each["status"] == "ok") == (each["values"]["miou"] >= 0.01)
    assert {each.split for each in ended.reads} == {"train"}


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
        (["--method", "darts", "--objective", "miou,params"], "learns by gradients"),
        (["--method", "darts", "--limit", "params=1M"], "learns by gradients"),
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
