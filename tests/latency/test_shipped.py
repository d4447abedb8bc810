"""Shipped tables by name, wherever a table's path is taken."""

from __future__ import annotations

import pytest

from hwnas.errors import TableError
from hwnas.latency.shipped import shipped_names, table_path
from hwnas.latency.table import load_table

NAME = "gtx1080ti-tensorrt5.1-fp32"


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_table_loads_and_says_where_it_comes_from(name):
    table = load_table(name)
    assert table.entries and table.contract.device
    assert table.provenance.get("source") or table.contract.date


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert table_path(NAME).is_absolute()
    (tmp_path / NAME).write_text("mine")
    assert table_path(NAME).read_text() == "mine"


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(TableError, match="gtx1080ti-fp32") as error:
        load_table("gtx1080ti-fp32")
    assert f"did you mean {NAME}" in error.value.hint


def test_what_nothing_is_near_to_lists_all():
    with pytest.raises(TableError) as error:
        table_path("zzz")
    assert NAME in error.value.hint


@pytest.mark.parametrize("path", ["none.json", "folder/gtx1080ti-tensorrt5.1-fp32"])
def test_a_path_is_not_taken_for_a_name(path, tmp_path):
    with pytest.raises(TableError, match="there is no latency table") as error:
        table_path(tmp_path / path)
    assert "check the path" in error.value.hint
