"""Searches whose candidates are trained rather than sliced: backbones, ladders, pre-filters; the proxy study."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Command, promised, run
from safetensors.torch import save_file
from small_world import SIZE, SPACE, folder_data, synthetic_table

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.stages.evaluating import parse_rungs, resolved
from hwnas.compiler.network import compile_graph
from hwnas.latency.table import save_table
from hwnas.search.backbone import reference_graph
from hwnas.spaces.base import SPACES

sys.path.insert(0, str(Path(__file__).parent.parent / "contracts"))
from tiny_nets import TinySpace

TINY = "tiny-world"


class TinyWorld(TinySpace):
    name = TINY


SPACES.register(TINY, TinyWorld())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("tiny") / "table.json"
    save_table(synthetic_table(2, TINY), path)
    yield path


def searched(data: str, table: Path, folder: Path, *words: object, space: str = SPACE) -> Command:
    given = ["--data", data, "--size", SIZE, "--space", space, "--budget", "100ms", "--minutes", "0.1"]
    return run("search", *given, "--table", table, "--run", folder, "--train-steps", 6, *words)


def trials(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]


def test_dpc_ranks_on_frozen_features_of_a_backbone_that_is_trained_first(
    data: str, tiny_table: Path, tmp_path: Path
) -> None:
    strategy = "dpc:candidates=3,finalists=1"
    ended = searched(data, tiny_table, tmp_path / "run", "--strategy", strategy, space=TINY)
    assert ended.code == 0, ended.said
    evaluators = [each["identity"]["evaluator"] for each in trials(tmp_path / "run")]  # type: ignore[index]
    assert evaluators[:4] == ["features", "features", "features", "training"][: len(evaluators)]
    report = json.loads((tmp_path / "run" / "backbone.json").read_text())
    assert report["steps"] > 0 and "backbone" in json.loads((tmp_path / "run" / "stages.json").read_text())["stages"]


def test_econas_trains_proxies_that_begin_with_a_pretrained_backbone(
    data: str, tiny_table: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "net.safetensors"
    state = compile_graph(reference_graph(SPACES.get(TINY), (3, 64, 96), 2), seed=4).state_dict()
    del state["stage2/block1.conv.weight"]
    save_file(state, str(weights))
    words = ["--backbone-weights", weights, "--keymap", "hwnas", "--strategy", "econas:population=4,batch=2"]
    words += ["--evaluator", "proxy", "--proxy", "r0.5", "--results", tmp_path / "shared.jsonl"]
    ended = searched(data, tiny_table, tmp_path / "run", *words, space=TINY)
    assert ended.code == 0, ended.said
    assert "14 of 15 tensors of the backbone matched" in ended.said and "stage2/block1.conv.weight" in ended.said
    report = json.loads((tmp_path / "run" / "backbone.json").read_text())
    assert report["missing"] == ["stage2/block1.conv.weight"] and report["seconds"] == 0
    kept = [json.loads(line)["identity"] for line in (tmp_path / "shared.jsonl").read_text().splitlines()]
    assert not (tmp_path / "run" / "evaluations.jsonl").exists()
    assert {each["steps"] for each in kept} <= {2, 4, 6} and all(each["size_hw"] == [32, 48] for each in kept)
    assert all(each["start"].startswith("given") for each in kept)
    assert len(kept) < 3 or any(each["continue_from"] for each in kept)  # on a slow machine there are few


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--evaluator", "slizes"), "unknown evaluator 'slizes'"),
        (("--evaluator", "ladder"), "must rise to a fidelity of 1"),
        (("--evaluator", "ladder", "--rungs", "proxy@0.5"), "must rise to a fidelity of 1"),
        (("--evaluator", "ladder", "--rungs", "prox@0.5,training@1"), "the rung 'prox@0.5'"),
        (("--rungs", "training@1"), "--rungs says what a ladder is made of"),
        (("--proxy", "z1"), "does not say what is reduced"),
        (("--time-limit", "-1"), "a time limit of -1 s"),
        (("--keymap", "torchvision-resnet50"), "belong together"),
        (("--backbone-weights", "x.safetensors", "--keymap", "torchvison-resnet50"), "unknown keymap"),
        (("--backbone-weights", "x.safetensors", "--keymap", "hwnas"), "takes no pretrained backbone"),
        (("--prefilter", "synflow"), "has not been shown"),
        (("--prefilter", "sinflow"), "unknown zero-cost score"),
        (("--prefilter-study", "x.json"), "is of a pre-filter"),
        (("--strategy", "crnas"), "has no choice 'allocation'"),
    ],
)
def test_mistake_is_refused_before_anything_is_written(
    data: str, small_table: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    ended = searched(data, small_table, tmp_path / "run", *words)
    assert ended.code == 2 and message in ended.document["error"]
    assert not (tmp_path / "run").exists()


def test_space_without_a_backbone_has_no_frozen_features(data: str, small_table: Path, tmp_path: Path) -> None:
    ended = searched(data, small_table, tmp_path / "run", "--evaluator", "features")
    assert ended.code == 2 and "freezes a backbone, and there is no trained one" in ended.document["error"]


def test_pickle_for_a_backbone_is_refused(data: str, tiny_table: Path, tmp_path: Path) -> None:
    weights = tmp_path / "net.pth"
    weights.write_bytes(b"PK\x03\x04")
    words = ("--backbone-weights", weights, "--keymap", "torchvision-resnet50")
    ended = searched(data, tiny_table, tmp_path / "run", *words, space=TINY)
    assert ended.code == 2 and "is a pickle" in ended.document["error"] and "save_file" in ended.document["hint"]
    assert not (tmp_path / "run").exists()


def test_proxy_study_is_resumed_with_more_and_shows_what_a_prefilter_is_worth(
    data: str, small_table: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    words = ["--data", data, "--size", SIZE, "--space", SPACE, "--run", folder, "--train-steps", 4]
    first = run("proxy-study", *words, "--nets", 3, "--proxy", "r0.5", "--zero-cost", "params")
    assert first.code == 0, first.said
    assert set(first.document) == promised("proxy-study")
    rows = first.document["proxies"]
    assert [row["name"] for row in rows] == ["r0.5"] and rows[0]["nets"] == 3
    before = len((folder / "evaluations.jsonl").read_text().splitlines())
    more = run("proxy-study", *words, "--nets", 4, "--proxy", "r0.5", "--zero-cost", "params", "--resume")
    assert more.code == 0, more.said
    assert len((folder / "evaluations.jsonl").read_text().splitlines()) == before + 2
    assert {each.split for each in more.reads} == {"train"}

    study = json.loads((folder / "study.json").read_text())
    study["zero_cost"][0] |= {"spearman": 0.8, "interval": [0.5, 0.9]}
    shown = tmp_path / "shown.json"
    shown.write_text(json.dumps(study))
    options = ("--prefilter", "params", "--prefilter-study", shown, "--evaluator", "training", "--strategy", "random")
    ended = searched(data, small_table, tmp_path / "run", *options)
    assert ended.code == 0, ended.said
    assert ended.document["objective"]["limits"]["latency_ms"] == 100
    assert not (tmp_path / "run" / "supernet.safetensors").exists() and "steps" not in ended.document
    kept = trials(tmp_path / "run")
    assert len(kept) == ended.document["evaluations"] > 0
    assert all(each["identity"]["steps"] == 6 for each in kept)  # type: ignore[index]
    assert {each.split for each in ended.reads} == {"train"}
    refused = searched(data, small_table, tmp_path / "other", *options[:2], "--prefilter-study", tmp_path / "no.json")
    assert refused.code == 2 and "proxy study" in refused.document["error"]


def test_evaluator_follows_the_strategy_unless_it_is_named() -> None:
    options, realtime, dpc, crnas = EvaluatorOptions(), *map(SPACES.get, ("realtime", "dpc", "crnas"))
    assert resolved(options, "evolution", realtime).evaluator == "slices"
    assert resolved(options, "econas:batch=4", realtime).evaluator == "training"
    assert resolved(options, "dpc", dpc).rungs == "features@0.1,training@1"
    assert resolved(options, "dpc", realtime).rungs == "proxy@0.1,training@1"
    assert resolved(options, "crnas", crnas).evaluator == "slices"
    named = EvaluatorOptions(evaluator="proxy")
    assert resolved(named, "dpc", dpc) is named
    assert parse_rungs("proxy@0.1, training@1") == [("proxy", 0.1), ("training", 1.0)]
