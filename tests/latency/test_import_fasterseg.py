"""FasterSeg's table: what each kind of row becomes, what is wrong with a row, and the sum its authors published."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from hwnas.errors import TableError
from hwnas.latency.importing import import_table
from hwnas.latency.keys import parse_key
from hwnas.latency.model import TableModel
from hwnas.latency.table import classes_of, load_table

SHIPPED = "gtx1080ti-tensorrt5.1-fp32"
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "fasterseg_sum.py"


def entry(op, ms=0.5, *, h=64, w=128, c_in=64, c_out=96, stride=1, **more):
    fields = {"op": op, "h": h, "w": w, "c_in": c_in, "c_out": c_out, "stride": stride, "latency_ms": ms, **more}
    return {"key": f"{op}_H{h}_W{w}_Cin{c_in}_Cout{c_out}_stride{stride}", **fields}


def read(tmp_path, entries):
    path = tmp_path / "lut.json"
    path.write_text(json.dumps({"source": "a test", "entries": entries}))
    return import_table(path, "fasterseg", {})


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (entry("ConvNorm", kernel=1), "conv_1x1(activation='relu',channels=96,dilation=1,groups=1,stride=1)@64x64x128"),
        (
            entry("BasicResidual1x", stride=2, dilation=1),
            "conv_3x3(activation='relu',channels=96,dilation=1,groups=1,stride=2)@64x64x128",
        ),
        (entry("BasicResidual2x", stride=2), "double_conv_3x3(channels=96,stride=2)@64x64x128"),
        (
            entry("BasicResidual_downup_1x"),
            "zoomed_conv_3x3(channels=96,interpolation='nearest',stride=1)@64x64x128",
        ),
        (
            entry("BasicResidual_downup_2x"),
            "zoomed_double_conv_3x3(channels=96,interpolation='nearest',stride=1)@64x64x128",
        ),
        (
            entry("FactorizedReduce", stride=2),
            "conv_1x1(activation='relu',channels=96,dilation=1,groups=1,stride=2)@64x64x128",
        ),
        (entry("FactorizedReduce"), "skip_connect()@64x64x128"),
        (
            {"key": "ff_H8_W16_C128", "op": "ff", "h": 8, "w": 16, "latency_ms": 0.5},
            "conv_1x1(activation='relu',channels=128,dilation=1,groups=1,stride=1)@128x8x16",
        ),
        (entry("head", c_in=256, c_out=19), "conv_seg_head(channels=256,classes=19)@256x64x128"),
        (entry("head", c_in=288, c_out=19), "conv_seg_head(channels=144,classes=19)@288x64x128"),
    ],
    ids=lambda value: value["key"] if isinstance(value, dict) else "",
)
def test_each_row_becomes_the_key_of_what_was_timed(tmp_path, row, key):
    table = read(tmp_path, [row])
    assert {text: entry.ms for text, entry in table.entries.items()} == {key: 0.5}


def test_rows_of_one_kernel_become_its_spread(tmp_path):
    rows = [
        entry("BasicResidual1x", 0.9),
        entry("ConvNorm", 1.0, kernel=3),
        entry("FactorizedReduce", 0.11, c_out=32),
        entry("FactorizedReduce", 0.1, c_out=64),
        entry("FactorizedReduce", 0.08, c_out=96),
    ]
    conv, skip = read(tmp_path, rows).entries.values()
    assert (conv.ms, conv.spread) == (1.0, pytest.approx(0.05))
    assert (skip.ms, skip.spread) == (0.1, pytest.approx(0.15))


def without(row, field):
    return {name: value for name, value in row.items() if name != field}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (entry("BasicResidual2x"), r"row 2 has the key BasicResidual2x_\S+ again, which row 1 has"),
        ({**entry("BasicResidual2x"), "key": "another"}, r"row 2 times double_conv_3x3\S+ again, as row 1 does"),
        (entry("ConvNorm", float("nan"), kernel=3), r"row 2 has nan ms as latency_ms, which is not a time"),
        (entry("ConvNorm", -1.0, kernel=3), r"row 2 has -1.0 ms"),
        (entry("ConvNorm", 0, kernel=3), r"row 2 has 0 ms"),
        (entry("ConvNorm", "quick", kernel=3), r"row 2 has 'quick' as latency_ms, which is not a number"),
        (entry("ConvNorm", True, kernel=3), r"row 2 has True as latency_ms"),
        (entry("ConvNorm"), r"row 2 lacks its field 'kernel'"),
        (entry("ConvNorm", kernel=2), r"row 2 is no kernel: unknown op 'conv_2x2'"),
        (entry("ConvNorm", kernel=3.0), r"row 2 has 3.0 as kernel"),
        (entry("ConvNorm", kernel=3, stride=3), r"row 2 is no kernel: parameter 'stride'"),
        (entry("BasicResidual1x", dilation=2), r"row 2 has dilation 2"),
        (entry("Conv"), r"row 2 has the op 'Conv'"),
        (without(entry("BasicResidual1x"), "latency_ms"), r"row 2 lacks its field 'latency_ms'"),
        (without(entry("BasicResidual1x"), "c_in"), r"row 2 lacks its field 'c_in'"),
        (without(entry("BasicResidual1x"), "key"), r"row 2 lacks its field 'key'"),
        (without(entry("BasicResidual1x"), "op"), r"row 2 lacks its field 'op'"),
        ({**entry("ff"), "key": "ff_H8_W16"}, r"row 2 has the key 'ff_H8_W16'"),
        (entry("BasicResidual1x", h=True), r"row 2 has True as h"),
        ([1, 2], r"row 2 is not an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_error_on_a_wrong_row_names_it(tmp_path, row, said):
    with pytest.raises(TableError, match=said) as error:
        read(tmp_path, [entry("BasicResidual2x"), row])
    assert "lut.json" in error.value.message and error.value.hint


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"entries": 3}', '{"entries": []}', '{"entries": [{"key": '])
def test_error_on_another_document(tmp_path, text):
    (tmp_path / "lut.json").write_text(text)
    with pytest.raises(TableError, match=r"lut\.json"):
        import_table(tmp_path / "lut.json", "fasterseg", {})


def test_error_on_options_that_are_for_csv(tmp_path):
    with pytest.raises(TableError, match="its own engine version"):
        import_table(tmp_path / "lut.json", "fasterseg", {"engine_version": "8"})


# The table that comes with hwnas


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fasterseg_sum", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_published_sums_are_those_of_the_shipped_table(capsys):
    assert benchmark().main() == 0
    shown = capsys.readouterr().out
    assert "6.41398 ms    6.41398 ms" in shown and "6.26047 ms    6.26047 ms" in shown


def test_the_shipped_table_says_what_it_is():
    table = load_table(SHIPPED)
    contract = table.contract
    assert (contract.engine, contract.engine_version, contract.precision) == ("tensorrt", "5.1", "fp32")
    assert contract.device == "NVIDIA GeForce GTX 1080 Ti" and contract.size_hw == (1024, 2048)
    assert "1912.10917" in table.provenance["paper"] and table.provenance["source"].startswith("VITA-Group/FasterSeg")
    assert table.provenance["imported"]["rows"] == 667 and len(table.entries) == 605
    assert table.accuracy == {} and classes_of(table) == 19


def test_the_shipped_table_predicts_by_the_plain_sum():
    table = load_table(SHIPPED)
    model = TableModel(table)
    for text, each in list(table.entries.items())[:50]:
        assert model.node_ms(parse_key(text)) == each.ms or text.startswith("skip_connect")
    assert model.overhead_ms == 0.0
