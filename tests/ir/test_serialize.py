"""Genotype documents: round trip, and every kind of fault as one sentence that names the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_documents import document

from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict, load_genotype, save_genotype

Document = dict[str, Any]


def node(doc: Document, index: int = 0) -> Document:
    found: Document = doc["cells"]["stage1"]["nodes"][index]
    return found


def test_lists_become_tuples_and_come_back() -> None:
    genotype = genotype_from_dict(document())
    assert genotype.params["widths"] == (32, 48)
    assert genotype.cells["decoder"].node("pool").params["bins"] == (1, 2)
    assert genotype.cells["stage1"].node("sum").inputs == ("a", "b", "a")
    assert genotype_from_dict(json.loads(json.dumps(genotype_to_dict(genotype)))) == genotype


def test_file_round_trip(tmp_path: Path) -> None:
    genotype = genotype_from_dict(document())
    save_genotype(genotype, tmp_path / "genotype.json")
    assert load_genotype(tmp_path / "genotype.json") == genotype
    text = (tmp_path / "genotype.json").read_text()
    assert '{"name": "b", "op": "max_pool_3x3", "inputs": ["x"], "params": {"stride": 2}},\n' in text


def test_save_refuses_what_could_not_be_loaded(tmp_path: Path) -> None:
    cell = Cell.of(["x"], [Node("a.b", "conv_3x3", ("x",))], "a.b")
    with pytest.raises(GenotypeError, match="without spaces and dots"):
        save_genotype(Genotype("bad", "plain", {"network": cell}), tmp_path / "genotype.json")
    assert list(tmp_path.iterdir()) == []


FAULTS: list[tuple[Callable[[Document], Any], str]] = [
    (lambda d: d.update(format="other"), "not a genotype"),
    (lambda d: d.pop("schema_version"), "'schema_version' is missing"),
    (lambda d: d.update(schema_version="1"), "must be a whole number, not '1'"),
    (lambda d: d.update(schema_version=2), "made by a newer hwnas.*\n.*upgrade"),
    (lambda d: d.pop("name"), "the field 'name' is missing"),
    (lambda d: d.update(skeletton="plain"), "no field 'skeletton'\n.*did you mean 'skeleton'"),
    (lambda d: d.update(cells={}), "'cells' must not be empty"),
    (lambda d: d["cells"].update(stage1=[]), "cell 'stage1' must be an object"),
    (lambda d: d["cells"].update({"a b": document()["cells"]["stage1"]}), "'a b' must be a name without spaces"),
    (lambda d: d["cells"]["stage1"].update(inputs=["x", "x"]), "cell 'stage1': two inputs have the same name"),
    (lambda d: d["cells"]["stage1"].update(output="zork"), "cell 'stage1': the output 'zork' is not a node"),
    (lambda d: d["cells"]["stage1"]["nodes"].append(3), "cell 'stage1', node number 4 must be an object, not 3"),
    (lambda d: d["cells"]["stage1"]["nodes"].append(dict(node(d))), "two nodes are called 'a'"),
    (lambda d: node(d).pop("op"), "cell 'stage1', node 'a': the field 'op' is missing"),
    (lambda d: node(d).pop("name"), "cell 'stage1', node number 1: the field 'name' is missing"),
    (lambda d: node(d).update(op="conv_3x4"), "node 'a': unknown op 'conv_3x4'\n.*did you mean.*conv_3x3"),
    (lambda d: node(d).update(op=7), "node 'a': 'op' must be a text, not 7"),
    (lambda d: node(d).update(inputs=["sum"]), "cell 'stage1': the nodes .*a.* form a cycle"),
    (lambda d: node(d).update(inputs=["y"]), "node 'a' takes its input 0 from 'y', which does not exist"),
    (lambda d: node(d).update(inputs=["x", "b"]), "node 'a': op conv_3x3 takes 1 input"),
    (lambda d: node(d).update(inputs=[]), "node 'a': 'inputs' must not be empty"),
    (lambda d: node(d, 1).update(params={"strides": 2}), "node 'b': op max_pool_3x3 has no parameter 'strides'"),
    (lambda d: node(d, 1).update(params={"stride": "two"}), "node 'b': parameter 'stride' of op max_pool_3x3 must be"),
    (lambda d: node(d, 1).update(params={"stride": 0}), "node 'b': parameter 'stride'"),
    (lambda d: node(d, 1).update(params={"stride": None}), "node 'b', params: 'stride' must be .* not null"),
    (lambda d: node(d, 1).update(params={"stride": float("nan")}), "'stride' must be .*finite"),
    (lambda d: d["params"].update(widths={"a": 1}), "'widths' must be .* a list of these"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_fault_is_one_sentence_that_names_the_place(damage: Callable[[Document], Any], message: str) -> None:
    doc = document()
    damage(doc)
    with pytest.raises(GenotypeError, match=message):
        genotype_from_dict(doc)


@pytest.mark.parametrize("text", ["", '{"format": "hwnas-gen', "[" * 100_000, "\ud800", "NaN", "[]"], ids=repr)
def test_damaged_file_is_one_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "genotype.json"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(HwnasError, match=r"genotype\.json"):
        load_genotype(path)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match="cannot read the genotype"):
        load_genotype(tmp_path / "none.json")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["x", "a", "sum"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(part: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else []
    return [place for key in keys for place in [(part, key), *places(part[key])]]


@given(st.data())
@settings(max_examples=400)
def test_random_damage_loads_or_is_a_hwnas_error(data: st.DataObject) -> None:
    doc: Any = document()
    for _ in range(data.draw(st.integers(1, 3), label="damages")):
        found = places(doc)
        container, key = found[data.draw(st.integers(0, len(found) - 1), label="place")]
        kind = data.draw(st.sampled_from(["delete", "replace", "nest", "copy", "rename"]), label="kind")
        if kind == "delete":
            del container[key]
        elif kind == "replace":
            container[key] = data.draw(JUNK, label="junk")
        elif kind == "nest":
            container[key] = data.draw(st.sampled_from([[container[key]], {"x": container[key]}]))
        elif kind == "copy":
            other, other_key = found[data.draw(st.integers(0, len(found) - 1), label="from")]
            container[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else None))
        elif isinstance(container, dict):
            container[data.draw(st.text(max_size=5), label="name")] = container.pop(key)
        if not places(doc):
            break
    try:
        genotype = genotype_from_dict(doc)
    except HwnasError as error:
        assert "\n" not in error.message
        return
    assert genotype_from_dict(genotype_to_dict(genotype)) == genotype


@given(JUNK)
def test_junk_is_a_hwnas_error(junk: Any) -> None:
    with pytest.raises(HwnasError):
        genotype_from_dict(junk)
