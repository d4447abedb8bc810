"""CSV tables: both ways to name a kernel, where the setting comes from, and one sentence for every mistake."""

from __future__ import annotations

import pytest

from hwnas.errors import TableError
from hwnas.latency.importing import import_table
from hwnas.latency.keys import LatencyKey
from hwnas.latency.table import Entry, load_table, save_table
from hwnas.ops.spec import OPS

SETTING = {"device": "Some NPU", "engine": "vendor", "precision": "int8", "size": "360x480"}
HEAD = "op,inputs,channels,stride,ms\n"
GOOD = HEAD + "conv_3x3,16x90x120,32,2,0.4\n"


def read(tmp_path, text, **given):
    path = tmp_path / "lut.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_table(path, "csv", {**SETTING, **given}, "a vendor's sheet")


def key(op, shapes, **params):
    return LatencyKey(op, OPS.get(op).complete(params), shapes).text


def test_ops_with_parameters_and_keys_give_the_same_table(tmp_path):
    conv, add, pool = (
        key("conv_3x3", ((16, 90, 120),), channels=32, stride=2),
        key("add", ((8, 4, 4), (8, 4, 4))),
        key("pyramid_pool", ((8, 4, 4),), channels=8, bins=(1, 3)),
    )
    by_op = HEAD.replace("ms", "bins,spread,ms") + (
        "conv_3x3,16x90x120,32,2,,0.1,0.4\nadd,8x4x4+8x4x4,,,,,1\n\npyramid_pool,8x4x4,8,,1 3,0,0.25\n"
    )
    by_key = f'key,spread,ms\n"{conv}",0.1,0.4\n"{add}",,1\n"{pool}",0,0.25\n'
    first, second = read(tmp_path, by_op), read(tmp_path, b"\xef\xbb\xbf" + by_key.encode())
    assert first.entries == second.entries == {conv: Entry(0.4, 0.1), add: Entry(1.0), pool: Entry(0.25)}
    assert first.contract == second.contract


def test_the_table_says_where_it_comes_from_and_nothing_of_accuracy(tmp_path):
    table = read(tmp_path, GOOD, engine_version="7", threads="4", batch="2")
    contract = table.contract
    assert (contract.device, contract.engine, contract.engine_version) == ("Some NPU", "vendor", "7")
    assert (contract.precision, contract.size_hw, contract.threads, contract.batch) == ("int8", (360, 480), 4, 2)
    assert table.provenance["source"] == "a vendor's sheet"
    assert table.provenance["imported"]["rows"] == 1 and table.provenance["imported"]["file"] == "lut.csv"
    assert table.accuracy == {} and table.calibration.weights == {} and table.complete
    save_table(table, tmp_path / "t.json")
    assert load_table(tmp_path / "t.json") == table


def test_the_setting_may_stand_in_columns(tmp_path):
    text = "key,ms,device,size\nrelu()@8x4x4,0.1,Orin,720x960\n"
    contract = read(tmp_path, text, device="", size="").contract
    assert (contract.device, contract.size_hw) == ("Orin", (720, 960))
    with pytest.raises(TableError, match=r"row 2 has device 'Orin', not 'Some NPU'"):
        read(tmp_path, text, size="")
    with pytest.raises(TableError, match=r"row 3 has device 'Xavier', not 'Orin'"):
        read(tmp_path, text + "relu()@4x4x4,0.1,Xavier,720x960\n", device="", size="")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "conv_3x3,16x90x120,32,2,0.5\n", r"row 3 holds conv_3x3\(.*again, which row 2 has"),
        (GOOD + "\nconv_3x3,16x90x120,16,1,nan\n", r"row 4 has nan ms as ms, which is not a time"),
        (GOOD + "conv_3x3,16x90x120,16,1,-0.5\n", r"row 3 has -0.5 ms"),
        (GOOD + "conv_3x3,16x90x120,16,1,0\n", r"row 3 has 0.0 ms"),
        (GOOD + "conv_3x3,16x90x120,16,1,inf\n", r"row 3 has inf ms"),
        (GOOD + "conv_3x3,16x90x120,16,1,fast\n", r"row 3 has 'fast' as ms, which is not a number"),
        (GOOD + "conv_3x3,16x90x120,16,1,\n", r"row 3 has '' as ms"),
        (GOOD + "conv_3x3,16x90x120,16,1\n", r"row 3 has 4 cells, and the header 5"),
        (GOOD + "conv_3x3,16x90x120,16.5,1,0.2\n", r"row 3 is no kernel: .*'channels'"),
        (GOOD + "conv_3x3,16x90x120,many,1,0.2\n", r"row 3 is no kernel: .*'channels'"),
        (GOOD + "conv_3x3,16x90x120,,1,0.2\n", r"row 3 is no kernel: op conv_3x3 needs parameter 'channels'"),
        (GOOD + "conv_4x4,16x90x120,16,1,0.2\n", r"row 3 is no kernel: unknown op 'conv_4x4'"),
        (GOOD + "relu,16x90x120,16,,0.2\n", r"row 3 is no kernel: op relu has no parameter 'channels'"),
        (GOOD + "relu,16x90,,,0.2\n", r"row 3 has the inputs '16x90'"),
        (GOOD + "relu,0x9x9,,,0.2\n", r"row 3 is no kernel: its input shape has a zero"),
        (GOOD + "relu,8x9x9+8x9x9,,,0.2\n", r"row 3 is no kernel: op relu takes 1 inputs, not 2"),
        (GOOD + "add,8x9x9+4x9x9,,,0.2\n", r"row 3 is no kernel: .*input 1"),
        (GOOD + ",8x9x9,,,0.2\n", r"row 3 has no op"),
        ("key,ms\nrelu@8x9x9,0.1\n", r"row 2 is no kernel"),
        ("key,ms,spread\nrelu()@8x9x9,0.1,nan\n", r"row 2 has nan as spread"),
        ("op,inputs,channels\n", r"no column 'ms'"),
        ("inputs,ms\n", r"no column 'key'"),
        ("op,ms\n", r"no column 'inputs'"),
        ("op,inputs,ms,chanels\n", r"a column 'chanels'"),
        ("op,inputs,ms,ms\n", r"column 'ms' occurs twice"),
        (HEAD, r"no rows"),
        ("", r"no column 'ms'"),
        (b"op,inputs,ms\nrelu,8x4x4,\xff\n", r"not CSV in UTF-8"),
        ('op,inputs,ms\nrelu,"8x4x4,1\n', r"not CSV in UTF-8"),
    ],
)
def test_error_on_a_mistake_names_file_and_row(tmp_path, text, said):
    with pytest.raises(TableError, match=said) as error:
        read(tmp_path, text)
    assert "lut.csv" in error.value.message and error.value.hint


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device": ""}, "says its device"),
        ({"precision": ""}, "says its precision"),
        ({"size": "big"}, "size 'big'"),
        ({"threads": "0"}, "threads is '0'"),
        ({"batch": "two"}, "batch is 'two'"),
    ],
)
def test_error_on_a_setting_that_is_missing_or_wrong(tmp_path, given, said):
    with pytest.raises(TableError, match=said):
        read(tmp_path, GOOD, **given)


def test_error_on_a_missing_file(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv"):
        import_table(tmp_path / "none.csv", "csv", SETTING)
