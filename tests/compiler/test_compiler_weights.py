from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hwnas.compiler.network import compile_graph
from hwnas.compiler.weights import apply_weights, load_weights, save_weights, serialised
from hwnas.errors import HwnasError, RunError
from tests.compiler.graphs import small_graph


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    network = compile_graph(small_graph(), seed=0).to(memory_format=torch.channels_last)
    path = tmp_path / "runs" / "weights.safetensors"
    save_weights(network, path, {"genotype": "abc", "classes": "5"})
    tensors, metadata = load_weights(path)
    assert metadata == {"genotype": "abc", "classes": "5"}
    other = compile_graph(small_graph(), seed=1)
    apply_weights(other, tensors)
    state = network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in other.state_dict().items())


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    texts = {f"text{number}": "ü" * number for number in range(12)}
    names = ("b.weight", "a.weight")
    tensors = {name: torch.arange(5.0) for name in names}
    files = {
        serialised({name: tensors[name] for name in order}, mixed)
        for order in (names, names[::-1])
        for mixed in (texts, dict(reversed(texts.items())))
        for _ in range(4)
    }
    assert len(files) == 1
    (tmp_path / "w.safetensors").write_bytes(files.pop())
    found, metadata = load_weights(tmp_path / "w.safetensors")
    assert metadata == texts and torch.equal(found["a.weight"], torch.arange(5.0))


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    save_weights({"whole": whole, "slice": whole[:2, 1:]}, tmp_path / "w.safetensors", {})
    tensors, _ = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(tensors["slice"], whole[:2, 1:])


def test_loaded_tensors_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights({"a": torch.ones(1000)}, path, {})
    tensors, _ = load_weights(path)
    save_weights({"a": torch.zeros(1000)}, path, {})
    assert torch.equal(tensors["a"], torch.ones(1000))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(compile_graph(small_graph()), path, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match="damaged, truncated") as caught:
        load_weights(path)
    assert "train" in caught.value.hint


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.ones(2)}, foreign)
    with pytest.raises(RunError, match="holds no weights of hwnas"):
        load_weights(foreign)
    (tmp_path / "text").write_text("hello " * 100)
    with pytest.raises(RunError, match="not a safetensors file"):
        load_weights(tmp_path / "text")


def test_missing_files_and_folders_are_one_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(RunError, match="cannot read the weights"):
            load_weights(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HwnasError, match="cannot write"):
        save_weights({"a": torch.ones(2)}, tmp_path / "file" / "w.safetensors", {})
    assert (tmp_path / "file").read_text() == "in the way"


def test_weights_that_do_not_fit_are_named_and_nothing_is_changed() -> None:
    network = compile_graph(small_graph(), seed=0)
    tensors = {key: value + 1 for key, value in network.state_dict().items()}
    tensors["head/logits.conv.weight"] = torch.zeros(11, 16, 1, 1)
    del tensors["stem/conv.conv.weight"]
    tensors["stage9.conv.weight"] = torch.zeros(1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(RunError) as caught:
        apply_weights(network, tensors)
    assert "lack stem/conv.conv.weight" in caught.value.message
    assert "stage9.conv.weight" in caught.value.message
    assert "head/logits.conv.weight (11x16x1x1 instead of 5x16x1x1)" in caught.value.message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_long_lists_are_shortened() -> None:
    with pytest.raises(RunError, match=r"and \d+ more"):
        apply_weights(compile_graph(small_graph()), {})
