from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hwnas.compiler.extract import extract
from hwnas.compiler.network import compile_graph
from hwnas.compiler.source import write_source
from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from tests.compiler.graphs import auxiliary_graph, random_graph, small_graph

RUNNER = """
import importlib.util, sys
import torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
for index in range(int(sys.argv[1])):
    spec = importlib.util.spec_from_file_location(f"model{index}", f"model{index}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Net().eval().double()
    module.load_hwnas_weights(network, load_file(f"weights{index}.safetensors"))
    with torch.no_grad():
        images = load_file(f"images{index}.safetensors")["images"]
        save_file({"logits": network(images).contiguous()}, f"logits{index}.safetensors")
assert not any(name.split(".")[0] == "hwnas" for name in sys.modules)
"""


def awkward_names() -> OpGraph:
    """Nodes whose names are no identifiers, collide, or mean something to Python or torch."""
    builder = GraphBuilder((3, 9, 9))
    value = builder.input
    for name in ("a/b", "a_b", "A-b", "3x", "lambda", "self", "torch", "nn", "x", 'quo"te', "é/ü", "F", "class"):
        value = builder.add(name, "conv_1x1", [value], {"channels": 4})
    both = builder.add("both", "add", [value, "a/b", "a/b"], {})
    builder.add("unread", "conv_3x3", [both], {"channels": 2})
    return builder.finish(both)


def test_the_written_file_computes_what_the_compiled_network_does(tmp_path: Path) -> None:
    # in double precision: how torch splits sums depends on a process's threads, and only that may differ
    graphs = [small_graph(), awkward_names(), auxiliary_graph(), *(random_graph(seed) for seed in range(10))]
    expected = []
    for index, graph in enumerate(graphs):
        network = compile_graph(graph, seed=index).eval().double()
        images = torch.randn(2, *graph.shape(graph.input), dtype=torch.float64)
        with torch.no_grad():
            expected.append(network(images))
        (tmp_path / f"model{index}.py").write_text(write_source(graph, "net"), encoding="utf-8")
        save_file(network.state_dict(), tmp_path / f"weights{index}.safetensors")
        save_file({"images": images}, tmp_path / f"images{index}.safetensors")
    command = [sys.executable, "-I", "-c", RUNNER, str(len(graphs))]
    subprocess.run(command, cwd=tmp_path, check=True)
    for index, logits in enumerate(expected):
        written = load_file(tmp_path / f"logits{index}.safetensors")["logits"]
        torch.testing.assert_close(written, logits, rtol=1e-11, atol=1e-12, msg=f"graph {index}")


def test_the_file_runs_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(write_source(small_graph(), "my net-2"), encoding="utf-8")
    answer = subprocess.run([sys.executable, "-I", str(path)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "output (1, 5, 45, 61)"


def test_the_file_is_readable() -> None:
    text = write_source(small_graph(), "my net-2")
    assert "class MyNet2(nn.Module):" in text
    assert "self.stage1_block0 = MBConv(in_channels=8, channels=12, kernel=5, expansion=4, stride=2)" in text
    assert "x = self.stage1_block1(x)" in text
    assert "class DSConv" not in text and "import math" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_written_file_passes_the_linter(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(write_source(small_graph(), "net"), encoding="utf-8")
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed beside this Python")
    subprocess.run([ruff, "check", "--isolated", "--line-length", "120", str(path)], check=True)


@pytest.mark.parametrize(("name", "expected"), [("", "Network"), ("7up", "Network7up"), ("MBConv", "MBConvNetwork")])
def test_class_names(name: str, expected: str) -> None:
    assert f"class {expected}(nn.Module):" in write_source(small_graph(), name)


def test_a_graph_without_nodes_gives_back_its_input() -> None:
    graph = GraphBuilder((3, 8, 8)).finish("image")
    namespace: dict[str, object] = {"__name__": "written"}
    exec(write_source(graph, "nothing"), namespace)
    images = torch.randn(1, 3, 8, 8)
    assert torch.equal(namespace["Nothing"]()(images), images)  # type: ignore[operator]


THEIRS = """
import math
import os
from collections import OrderedDict, deque
import torch.nn.functional as F
from torch import nn

SCALE: float = math.sqrt(2)
OTHER = os.name

def scaled(x):
    return x * SCALE

class Unused(nn.Module):
    pass

class Base(nn.Module):
    def forward(self, x):
        return F.relu(scaled(x))

class Scaled(Base):
    pass
"""


def test_other_packages_classes_are_cut_out_with_what_they_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_modules.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    part = extract("their_modules", ["Scaled"])
    assert part.names == ("SCALE", "scaled", "Base", "Scaled")
    assert part.imports == ("import math", "import torch.nn.functional as F", "from torch import nn")
    theirs = OpSpec(
        name="their_scaled",
        family="theirs",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("Scaled", {}, "their_modules"),
    )
    OPS.names()
    monkeypatch.setitem(OPS._items, "their_scaled", theirs)
    builder = GraphBuilder((3, 8, 8))
    value = builder.add("conv", "conv_1x1", ["image"], {"channels": 4})
    graph = builder.finish(builder.add("scaled", "their_scaled", [value], {}))
    namespace: dict[str, object] = {"__name__": "written"}
    exec(write_source(graph, "mixed"), namespace)
    network = compile_graph(graph, seed=0).eval()
    mixed = namespace["Mixed"]().eval()  # type: ignore[operator]
    namespace["load_hwnas_weights"](mixed, network.state_dict())  # type: ignore[operator]
    images = torch.randn(1, 3, 8, 8)
    assert torch.equal(mixed(images), network(images))


def test_two_sources_that_define_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_clash.py").write_text("from torch import nn\nclass ConvBNAct(nn.Module):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    clash = OpSpec(
        name="clash",
        family="theirs",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("ConvBNAct", {}, "their_clash"),
    )
    OPS.names()
    monkeypatch.setitem(OPS._items, "clash", clash)
    builder = GraphBuilder((3, 8, 8))
    value = builder.add("conv", "conv_1x1", ["image"], {"channels": 4})
    graph = builder.finish(builder.add("clash", "clash", [value], {}))
    with pytest.raises(GenotypeError, match="'ConvBNAct' is defined in more than one of"):
        write_source(graph, "net")


def test_a_class_whose_source_cannot_be_read_is_one_clear_error() -> None:
    with pytest.raises(HwnasError, match="the source of math cannot be read"):
        extract("math", ["sqrt"])
