"""The teacher that a method derives beside its network teaches only if it is ahead of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from small_world import DECISIONS, SIZE_HW, SmallWorld

from hwnas.cli import relaxation as module
from hwnas.cli.job import TEACHER
from hwnas.compiler.network import compile_graph
from hwnas.data.base import ClassInfo
from hwnas.ir.serialize import load_genotype
from hwnas.skeletons.base import expand

CLASSES = tuple(ClassInfo(name, (n, n, n)) for n, name in enumerate(("road", "sky", "tree")))


@pytest.mark.parametrize(("miou", "kept"), [(0.31, True), (0.3, False), (0.1, False)])
def test_a_teacher_is_kept_if_it_is_ahead(miou: float, kept: bool, tmp_path: Path, monkeypatch) -> None:
    genotype = SmallWorld().decode(DECISIONS).genotype
    network = compile_graph(expand(genotype, (3, *SIZE_HW), len(CLASSES)), seed=0)
    said: list[str] = []
    dataset = SimpleNamespace(classes=CLASSES)
    data = SimpleNamespace(arrays=None, classes=len(CLASSES), held=None, dataset=dataset)
    job = SimpleNamespace(run=tmp_path, data=data, progress=SimpleNamespace(say=said.append))
    given: list[float] = []

    def begun(self, ground, relaxation, decisions, seconds, label) -> SimpleNamespace:
        given.append(seconds)
        return SimpleNamespace(network=network)

    monkeypatch.setattr(module.Relaxation, "_begun", begun)
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: SimpleNamespace(miou=miou))
    old = tmp_path / TEACHER / "weights.safetensors"  # of an earlier life of the run
    old.parent.mkdir()
    old.write_text("old")
    ground = SimpleNamespace(space=SmallWorld())
    module.Relaxation(job)._keep_teacher(ground, None, DECISIONS, 12.0, 0.3)
    assert given == [12.0] and len(said) == 1
    assert old.exists() == kept == ("is distilled from it" in said[0] and "nothing" not in said[0])
    if kept:
        assert load_genotype(tmp_path / TEACHER / "genotype.json") == genotype
