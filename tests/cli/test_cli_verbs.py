"""The verbs that need no training and no timing, each run on a real network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwnas.cli.main import VERBS, main
from hwnas.ir.serialize import load_genotype

JSON_GUIDE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
NET = ["fast-scnn", "--size", "96x128", "--classes", "5"]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document of a command that succeeds."""
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err + out
    document = json.loads(out)
    if "--genotype" not in arguments:  # that document is a genotype
        name = arguments[1] if arguments[0] == "zoo" and arguments[1] in VERBS else arguments[0]
        assert set(document) <= documented(name), f"docs/json.md lacks a field of {name}"
    return document


def documented(name: str) -> set[str]:
    """Every word in code marks in the section of docs/json.md that is about a verb."""
    for section in JSON_GUIDE.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        if name in re.split(r"[ ,]+", title):
            return set(re.findall(r"`(\w+)`", body))
    raise AssertionError(f"docs/json.md has no section about {name}")


@pytest.mark.parametrize("name", VERBS)
def test_json_guide_has_every_verb(name: str) -> None:
    assert documented(name)


def test_cost_counts(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "cost", *NET)
    assert document["params"] > 0 and document["macs"] > 0 and document["peak_activation_bytes"] > 3 * 96 * 128 * 4
    assert document["size"] == "96x128" and document["classes"] == 5


def test_cost_tells_people_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    params = answer(capsys, "cost", *NET)["params"]
    assert main(["cost", *NET]) == 0
    assert f"{params:,}" in capsys.readouterr().out


def test_sample_is_reproducible_and_seeds_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {}
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        document = answer(capsys, "sample", "-n", "3", "--seed", seed, "-o", str(tmp_path / folder))
        assert len(document["genotypes"]) == 3
        files[folder] = [load_genotype(Path(path)) for path in document["genotypes"]]
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_sampled_genotype_goes_on_to_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = answer(capsys, "sample", "-o", str(tmp_path))["genotypes"]
    assert answer(capsys, "cost", path, "--size", "96x128")["params"] > 0


def test_sampled_genotypes_are_within_their_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--limit", "peak_activation_bytes=2e6"]
    at = ["--size", "96x128", "--classes", "5"]
    document = answer(capsys, "sample", "-n", "2", *limits, *at, "-o", str(tmp_path))
    for path, costs in zip(document["genotypes"], document["costs"], strict=True):
        counted = answer(capsys, "cost", path, *at)
        assert {name: counted[name] for name in costs} == costs
        assert costs["peak_activation_bytes"] <= 2e6


def test_limits_that_are_none_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for limit, said in (("macs", "positive number"), ("mac=1e9", "did you mean macs"), ("latency_ms=5", "--table")):
        assert main(["sample", "--limit", limit, "-o", str(tmp_path)]) == 2
        assert said in capsys.readouterr().err


def test_sample_of_unknown_space_offers_the_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--space", "realtme", "-o", str(tmp_path)]) == 2
    assert "did you mean realtime?" in capsys.readouterr().err


def test_compiled_source_needs_only_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.py"
    document = answer(capsys, "compile", *NET, "-o", str(path))
    assert document["file"] == str(path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import model; assert 'hwnas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


def test_unwritable_output_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["compile", *NET, "-o", str(tmp_path / "file" / "model.py")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_zoo_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    networks = {network["name"]: network for network in answer(capsys, "zoo", "list", "--size", "96x128")["networks"]}
    assert networks["fast-scnn"]["params"] == 1_138_051
    assert all(bool(network["macs"]) != bool(network["problem"]) for network in networks.values())
    shown = answer(capsys, "zoo", "show", "fast-scnn")
    assert shown["paper"] and {1_138_051} == {row["ours"] for row in shown["figures"] if "param" in row["quantity"]}
    genotype = answer(capsys, "zoo", "show", "fast-scnn", "--genotype")
    assert genotype == shown["genotype"] and genotype["cells"]


def test_zoo_cost_counts_training_heads_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    plain = answer(capsys, "zoo", "cost", "bisenetv2")
    assert (plain["size"], plain["params"], plain["macs"]) == ("1024x2048", 3_358_627, 98_413_199_360)
    assert answer(capsys, "zoo", "cost", "bisenetv2", "--auxiliary")["params"] == 5_231_487


def test_zoo_offers_the_nearest_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "cost", "bisenet2"]) == 2
    assert "did you mean bisenetv2" in capsys.readouterr().err


def test_truncated_genotype_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.json"
    path.write_text('{"schema_version": 1, "na')
    assert main(["cost", str(path)]) == 2
    assert "not valid JSON" in capsys.readouterr().err


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    """A table that prices every node of the test network at 0.5 ms, measured at its size."""
    from hwnas.latency.contract import TimingContract
    from hwnas.latency.keys import keys_of
    from hwnas.latency.table import Entry, LatencyTable, save_table
    from hwnas.skeletons.base import expand
    from hwnas.zoo.catalog import load

    contract = TimingContract("a cpu", 2, "onnxruntime", "1.0", "fp32", 1, (96, 128))
    keys = keys_of(expand(load("fast-scnn"), (3, 96, 128), 5)).values()
    path = tmp_path / "table.json"
    save_table(LatencyTable(contract, {key.text: Entry(0.5) for key in keys}), path)
    return path


def test_predict_adds_up_and_takes_size_and_classes_from_the_table(
    table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = answer(capsys, "predict", "fast-scnn", "--table", str(table_file))
    assert (document["size"], document["classes"]) == ("96x128", 5)
    parts = sum(node["latency_ms"] for node in document["nodes"]) + document["overhead_ms"]
    assert document["latency_ms"] == pytest.approx(parts)
    low, high = document["interval_ms"]
    assert low < document["latency_ms"] < high
    assert document["contract"]["engine"] == "onnxruntime"
    assert document["confidence"] == 0.9
    assert document["costs"]["macs"] == answer(capsys, "cost", *NET)["macs"]


def test_cost_with_a_table_has_the_latency(table_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = answer(capsys, "cost", *NET, "--table", str(table_file))
    predicted = answer(capsys, "predict", "fast-scnn", "--table", str(table_file))
    assert costs["latency_ms"] == pytest.approx(predicted["latency_ms"])


def test_predict_widens_its_interval_with_the_confidence_asked_for(
    table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from hwnas.latency.table import Calibration, load_table, save_table

    residuals = tuple(step / 500 for step in range(-25, 26))
    save_table(replace(load_table(table_file), calibration=Calibration(residuals=residuals)), table_file)
    intervals = [
        answer(capsys, "predict", "fast-scnn", "--table", str(table_file), "--confidence", each)["interval_ms"]
        for each in ("0.5", "0.9")
    ]
    assert intervals[1][0] < intervals[0][0] < intervals[0][1] < intervals[1][1]
    assert main(["predict", "fast-scnn", "--table", str(table_file), "--confidence", "90"]) == 2
    assert "--confidence 0.9" in capsys.readouterr().err


def test_predict_with_other_classes_says_whose_table_it_is(
    table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "fast-scnn", "--table", str(table_file), "--classes", "19"]) == 2
    err = capsys.readouterr().err
    assert "made for 5 classes, not 19" in err and "--classes 5" in err and "--missing" in err


def test_predict_prints_no_negative_zero() -> None:
    from hwnas.cli.predict import _unsigned_zero

    assert [_unsigned_zero(text) for text in ("-0.000", "-0.0%", "-0.010", "0.000")] == [
        "0.000",
        "0.0%",
        "-0.010",
        "0.000",
    ]


def test_predict_shows_people_every_node(table_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "fast-scnn", "--table", str(table_file)]) == 0
    out = capsys.readouterr().out
    assert "seg_head" in out and "predicted" in out


def test_predict_refuses_another_size_unless_forced(table_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["predict", "fast-scnn", "--table", str(table_file), "--size", "112x128"]
    assert main(wanted) == 2
    assert "size_hw" in capsys.readouterr().err
    assert main([*wanted, "--force"]) in (0, 2)
    assert "another setting" not in capsys.readouterr().err


def test_predict_with_a_truncated_table_is_one_sentence(table_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table_file.write_text(table_file.read_text()[:200])
    assert main(["predict", "fast-scnn", "--table", str(table_file)]) == 2
    assert "not valid JSON" in capsys.readouterr().err


def test_draw_writes_the_network_and_its_cells(
    table_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = answer(capsys, "draw", "fast-scnn", "--table", str(table_file), "-o", str(tmp_path / "pictures"))
    assert (drawn["size"], drawn["classes"]) == ("96x128", 5)  # the table's
    pictures = drawn["pictures"]
    assert {Path(path).name for path in pictures} >= {"network.svg", "network.png"}
    assert all(Path(path).stat().st_size for path in pictures)


def folder_dataset(root: Path, label: int) -> str:
    """Two images for each split, with one mask each that has ``label`` in a corner."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(2):
            picture = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            mask = rng.integers(0, 2, (40, 48), dtype=np.uint8)
            mask[0, 0] = label
            Image.fromarray(picture).save(root / "images" / split / f"{index}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{index}.png")
    (root / "classes.txt").write_text("road\nsky\n")
    return f"folder:{root}"


def test_data_check_passes_a_sound_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "data", "check", folder_dataset(tmp_path, label=1))
    assert document["ok"] is True
    assert document["images"] == {"train": 2, "val": 2}


def test_data_check_fails_on_a_label_outside_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = folder_dataset(tmp_path, label=7)
    assert main(["data", "check", spec, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "label-outside-map" in {issue["kind"] for issue in document["issues"]}
    assert main(["data", "check", spec]) == 1
    assert "label 7" in capsys.readouterr().out


def test_data_check_of_a_missing_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", f"camvid:{tmp_path / 'none'}"]) == 2
    assert "error: " in capsys.readouterr().err
