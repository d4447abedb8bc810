"""Pictures of cells and networks: that they say what is in them, for any name and value."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.report.dot import render
from hwnas.report.draw import draw_cell, draw_genotype, draw_network
from hwnas.report.palette import FAMILIES, RAMP, family_colour, outline, ramp_colour
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load

SVG = "{http://www.w3.org/2000/svg}"


def encoder_decoder() -> OpGraph:
    build = GraphBuilder((3, 64, 96))
    stem = build.add("stem/conv", "conv_3x3", ["image"], {"channels": 16, "stride": 2})
    fine = build.add("stage1/block1", "mbconv_e4_k3", [stem], {"channels": 32, "stride": 2})
    coarse = build.add("stage2/block1", "ds_conv_3x3", [fine], {"channels": 64, "stride": 2, "dilation": 2})
    context = build.add("decoder/context", "lraspp", [coarse], {"channels": 32})
    up = build.add("decoder/up", "resize_bilinear", [context], {"height": 16, "width": 24})
    joined = build.add("decoder/add", "add", [up, build.add("decoder/lateral", "conv_1x1", [fine], {"channels": 32})])
    logits = build.add("classifier", "seg_head", [joined], {"classes": 5})
    return build.finish(build.add("upsample", "resize_bilinear", [logits], {"height": 64, "width": 96}))


def cell() -> Cell:
    nodes = [
        Node("a", "conv_3x3", ("x",), {"channels": 32}),
        Node("pool", "pyramid_pool", ("y",), {"bins": (1, 2)}),
        Node("sum", "add", ("a", "pool", "a")),
    ]
    return Cell.of(["x", "y"], nodes, "sum")


def picture(source: str, folder: Path) -> tuple[list[str], list[ElementTree.Element], list[ElementTree.Element]]:
    """Every text in the SVG, its nodes and its edges."""
    root = ElementTree.parse(render(source, folder / "a.svg")).getroot()
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    groups = list(root.iter(f"{SVG}g"))
    return (
        texts,
        [group for group in groups if group.get("class") == "node"],
        [group for group in groups if group.get("class") == "edge"],
    )


def test_a_cell_shows_its_inputs_nodes_parameters_and_every_edge(tmp_path: Path) -> None:
    texts, nodes, edges = picture(draw_cell(cell(), "stage 1"), tmp_path)
    assert {"stage 1", "x", "y", "conv_3x3", "channels 32", "bins [1, 2]", "+", "output", "pool"} <= set(texts)
    assert (len(nodes), len(edges)) == (6, 6)


def test_a_network_shows_every_node_with_shape_stride_and_stage(tmp_path: Path) -> None:
    graph = encoder_decoder()
    texts, nodes, edges = picture(draw_network(graph, "found"), tmp_path)
    words = [text.strip() for text in texts]
    assert {"found", "image", "3x64x96", "stem", "stage1", "decoder", "/2", "/2 d2", "64x8x12", "5x64x96"} <= set(words)
    assert {"conv", "mbconv", "context", "head"} <= set(words)
    assert (len(nodes), len(edges)) == (len(graph.graph), graph.graph.number_of_edges())


def heights(source: str, folder: Path) -> dict[str, float]:
    """Title of a node → how far down it is drawn."""
    _, nodes, _ = picture(source, folder)
    return {node[0].text or "": float(next(node.iter(f"{SVG}text")).get("y", 0)) for node in nodes}


def test_the_encoder_goes_down_and_the_decoder_up(tmp_path: Path) -> None:
    graph = encoder_decoder()
    ids = {name: f"n{index}" for index, name in enumerate([graph.input, *graph.order])}
    y = {name: heights(draw_network(graph), tmp_path)[id] for name, id in ids.items()}
    assert y["image"] < y["stem/conv"] < y["stage1/block1"] < y["stage2/block1"] <= y["decoder/context"]
    assert y["decoder/context"] > y["decoder/up"] > y["decoder/add"] > y["classifier"] > y["upsample"]


def test_values_are_written_and_colour_the_nodes(tmp_path: Path) -> None:
    source = draw_network(
        encoder_decoder(), values={"stem/conv": 1.25, "stage1/block1": 2.5, "upsample": 0.0}, unit="ms"
    )
    texts, _, _ = picture(source, tmp_path)
    assert texts.count("2.5 ms") == 2  # on the node and in the scale
    assert "1.25 ms" in texts
    assert RAMP[-1] in source
    assert family_colour("mbconv") not in source


@pytest.mark.parametrize("values", [{}, {"stem/conv": 0.0}])
def test_values_that_are_all_zero_or_absent_can_be_drawn(values: dict[str, float], tmp_path: Path) -> None:
    picture(draw_network(encoder_decoder(), values=values), tmp_path)


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    name = 'a<b>&amp;"\\n:{}|'
    odd = Cell.of([name], [Node(name + "2", "conv_3x3", (name,))], name + "2")
    texts, nodes, _ = picture(draw_cell(odd, name + "\n\0"), tmp_path)
    assert texts.count(name) == 2
    assert len(nodes) == 3


def test_a_genotype_becomes_a_picture_of_each_cell_and_of_the_network(tmp_path: Path) -> None:
    genotype = Genotype("small", "encoder_decoder", {"stage1": cell()})
    files = draw_genotype(genotype, encoder_decoder(), tmp_path)
    assert [file.name for file in files] == ["cell-stage1.svg", "cell-stage1.png", "network.svg", "network.png"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_large_networks_are_drawn_by_groups_and_paths_on_their_trellis(tmp_path: Path) -> None:
    genotype = load("auto-deeplab-s")
    graph = expand(genotype, (3, 513, 513), 5)
    options = {"formats": ["dot"]}
    files = {path.stem: path.read_text() for path in draw_genotype(genotype, graph, tmp_path, **options)}
    assert set(files) == {"cell-cell", "path", "network"}
    every = draw_genotype(genotype, graph, tmp_path / "all", detail="nodes", **options)
    assert len(files["network"]) < len(every[-1].read_text()) / 4


def test_the_cell_of_a_plain_network_is_not_drawn_twice(tmp_path: Path) -> None:
    genotype = load("enet")
    files = draw_genotype(genotype, expand(genotype, (3, 96, 128), 5), tmp_path, formats=["dot"])
    assert [path.name for path in files] == ["network.dot"]


def test_ramp_goes_from_its_first_colour_to_its_last() -> None:
    assert (ramp_colour(0), ramp_colour(0.25), ramp_colour(1), ramp_colour(7)) == (RAMP[0], RAMP[1], RAMP[-1], RAMP[-1])


def test_families_have_colours_of_their_own_and_strangers_a_lasting_one() -> None:
    assert len(set(FAMILIES.values())) == len(FAMILIES)
    assert family_colour("attention") == family_colour("attention")
    assert outline("#ffffff") == "#9e9e9e"
