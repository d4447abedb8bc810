"""Trainings as evaluators: parts, checkpoints, limits; proxies, ladders, and results that are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fresh_processes import FRESH
from tiny_nets import CLASSES, SIZE_HW, TinySpace, tiny_images

from hwnas.compiler.weights import load_weights
from hwnas.errors import HwnasError
from hwnas.ir.passes.scale_channels import scale_channels
from hwnas.search.evaluators import training as module
from hwnas.search.evaluators.cached import Cached, Entry, EvaluationFile
from hwnas.search.evaluators.ladder import Ladder, Rung
from hwnas.search.evaluators.proxy import Proxy, parse_proxy, proxy_evaluator
from hwnas.search.evaluators.training import TrainingEvaluator, TrainingPlan, key_of
from hwnas.search.strategy import Outcome, Request
from hwnas.skeletons.base import expand
from hwnas.training.recipe import Recipe

SPACE = TinySpace()
RECIPE = Recipe(batch=4, crop=1.0)
DEEP = Request({"first": "conv_3x3", "depth": 2, "second": "ds_conv_3x3"}, 0)


def plan(folder: Path | None = None, steps: int = 6, **changes: object) -> TrainingPlan:
    return replace(TrainingPlan(steps=steps, recipe=RECIPE, checkpoints=folder), **changes)  # type: ignore[arg-type]


def test_part_of_a_training_is_that_part_of_its_steps(tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path))
    part = evaluator.evaluate(replace(DEEP, fidelity=1 / 3))
    assert part.values["steps"] == 2
    on = evaluator.evaluate(replace(DEEP, fidelity=1.0, continue_from=part.checkpoint))
    assert on.values["steps"] == 6 and on.checkpoint not in (None, part.checkpoint)
    assert load_weights(Path(str(on.checkpoint)))[1]["steps"] == "6"


def test_continuing_trains_the_missing_steps_from_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the learning rates that the whole training has there, whatever its schedule; warmed up once."""
    from hwnas.training import loop, train
    from hwnas.training.schedule import Schedule

    recipe = replace(RECIPE, schedule="cosine", warmup=0.5)
    factors: list[float] = []
    set_lr = loop._set_lr
    monkeypatch.setattr(loop, "_set_lr", lambda optimizer, factor: factors.append(factor) or set_lr(optimizer, factor))
    calls = []
    original = train.train_network

    def watched(*args: object, **kwargs: object) -> object:
        calls.append(kwargs)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_network", watched)
    evaluator = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path, recipe=recipe))
    part = evaluator.evaluate(replace(DEEP, fidelity=0.5))
    evaluator.evaluate(replace(DEEP, continue_from=part.checkpoint))
    first, second = calls
    assert first["initial"] is None
    assert factors == [Schedule.of(recipe).factor(step / 3) for step in range(3)] + [
        Schedule.of(recipe).factor(step / 6) for step in range(3, 6)
    ]
    weights = load_weights(Path(str(part.checkpoint)))[0]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in second["initial"].items())


class Killed(BaseException):
    """As a signal would end the process."""


def test_long_training_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwnas.training import train

    monkeypatch.setattr(module, "LONG_STEPS", 4)
    evaluator = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path))
    whole = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path / "whole")).evaluate(DEEP)
    original = train.train_network
    seen = []

    def killed(*args: object, **kwargs: object) -> object:
        seen.append(kwargs["checkpoint"])
        Path(str(kwargs["checkpoint"])).write_bytes(b"")
        raise Killed

    monkeypatch.setattr(train, "train_network", killed)
    with pytest.raises(Killed):
        evaluator.evaluate(DEEP)
    assert Path(str(seen[0])).exists()
    Path(str(seen[0])).unlink()
    monkeypatch.setattr(train, "train_network", original)
    assert evaluator.evaluate(DEEP).values == whole.values
    assert not Path(str(seen[0])).exists()


def test_lost_checkpoint_is_trained_anew_and_said(tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path))
    outcome = evaluator.evaluate(replace(DEEP, continue_from=str(tmp_path / "gone.safetensors")))
    assert outcome.values["steps"] == 6 and "its checkpoint is gone" in outcome.note


def test_time_limit_and_divergence_are_outcomes(tmp_path: Path) -> None:
    slow = TrainingEvaluator(SPACE, tiny_images(), plan(time_limit_s=1e-6)).evaluate(DEEP)
    assert (slow.status, slow.note) == ("failed", "over the time limit of 1e-06 s")
    wild = Recipe(batch=4, crop=1.0, lr=1e30, warmup=0.0, clip_norm=0.0, optimizer="sgd")
    outcome = TrainingEvaluator(SPACE, tiny_images(), plan(recipe=wild)).evaluate(DEEP)
    assert outcome.status == "failed" and outcome.note.startswith("diverged:")


def test_weights_to_begin_with_are_begun_with() -> None:
    seen = []

    def start(graph: object) -> None:
        seen.append(graph)

    TrainingEvaluator(SPACE, tiny_images(), plan(), start=start).evaluate(DEEP)
    assert len(seen) == 1


def test_recipe_of_the_candidate_is_laid_over_the_plans() -> None:
    class Recipes(TinySpace):
        def decode(self, decisions: object) -> object:  # type: ignore[override]
            return replace(super().decode(decisions), recipe={"lr": 0.5})  # type: ignore[arg-type]

    identity = TrainingEvaluator(Recipes(), tiny_images(), plan()).identity(DEEP)  # type: ignore[arg-type]
    assert identity["recipe"]["lr"] == 0.5


def test_plan_that_trains_nothing_is_refused() -> None:
    with pytest.raises(HwnasError, match="0 steps"):
        plan(steps=0)
    with pytest.raises(HwnasError, match="time limit of 0 s"):
        plan(time_limit_s=0)


def test_images_are_reduced_in_size_and_number() -> None:
    images = tiny_images(20, 4)
    less = images.reduced(resolution=1.0, samples=0.5)
    assert len(less.train) == 8 and set(less.train) <= set(images.train) and list(less.held) == list(images.held)
    asked = []

    def at_size(size_hw: tuple[int, int]) -> object:
        asked.append(size_hw)
        return images.arrays

    large = replace(images, at_size=at_size)  # type: ignore[arg-type]
    large.reduced(resolution=0.75)
    assert asked == [(32, 36)]
    with pytest.raises(HwnasError, match="resolution of 0"):
        images.reduced(resolution=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c0.5,r0.25,e0.1,s0.2", Proxy(0.5, 0.25, 0.1, 0.2)),
        ("e0.5", Proxy(epochs=0.5)),
        ("full", Proxy()),
        (" r1, c1 ", Proxy()),
    ],
)
def test_proxies_are_read(text: str, expected: Proxy) -> None:
    assert parse_proxy(text) == expected
    assert parse_proxy(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "x0.5", "r", "r0.5,r0.5", "r2", "c0", "0.5"])
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(HwnasError, match="proxy"):
        parse_proxy(text)


def test_proxy_reduces_steps_channels_and_images() -> None:
    evaluator = proxy_evaluator(SPACE, tiny_images(), plan(steps=16), Proxy(0.5, 1.0, 0.5, 0.5))
    identity = evaluator.identity(DEEP)
    assert (identity["steps"], identity["images"], identity["channels"]) == (4, 4, 0.5)
    assert evaluator.evaluate(DEEP).status == "ok"
    assert "channels" not in proxy_evaluator(SPACE, tiny_images(), plan(), Proxy(epochs=0.5)).identity(DEEP)


def test_scaled_channels_keep_names_sizes_and_classes() -> None:
    graph = expand(SPACE.decode(DEEP.decisions).genotype, (3, *SIZE_HW), CLASSES)
    half = scale_channels(graph, 0.5)
    assert half.order == graph.order and half.shape(half.output) == graph.shape(graph.output)
    for name in graph.order:
        (wide, *size), (narrow, *same) = graph.shape(name), half.shape(name)
        assert same == size and narrow == (wide if wide == CLASSES else wide / 2)
    with pytest.raises(HwnasError, match="scaled by 0"):
        scale_channels(graph, 0)


class Counting:
    """Counts evaluations; the score is the fidelity."""

    def __init__(self, name: str = "counting", outcome: Outcome | None = None) -> None:
        self.name, self.asked, self.outcome = name, [], outcome  # type: ignore[var-annotated]

    def evaluate(self, request: Request) -> Outcome:
        self.asked.append(request)
        return self.outcome or Outcome(request, {"miou": request.fidelity})

    def identity(self, request: Request) -> dict[str, object]:
        return {"evaluator": self.name, "candidate": dict(request.decisions), "fidelity": request.fidelity}


def test_kept_results_are_not_evaluated_again_by_anyone(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    path = tmp_path / "shared" / "evaluations.jsonl"
    ours, theirs = Cached(first, EvaluationFile(path)), Cached(second, EvaluationFile(path))
    outcome = ours.evaluate(DEEP)
    again = theirs.evaluate(replace(DEEP, id=9))
    assert again.values == outcome.values and again.request.id == 9
    assert len(first.asked) == 1 and not second.asked
    theirs.evaluate(replace(DEEP, fidelity=0.5))
    assert ours.evaluate(replace(DEEP, fidelity=0.5)).values["miou"] == 0.5
    assert len(first.asked) == 1 and len(second.asked) == 1
    kept = ours.kept(DEEP)
    assert kept is not None and kept.seconds >= 0


def test_what_failed_for_want_of_time_or_memory_is_tried_again(tmp_path: Path) -> None:
    for note, times in (("out of memory", 2), ("over the time limit of 3 s", 2), ("diverged: loss nan", 1)):
        inner = Counting(note, Outcome(DEEP, status="failed", note=note))
        cached = Cached(inner, EvaluationFile(tmp_path / "evaluations.jsonl"))
        assert [cached.evaluate(DEEP).note for _ in range(2)] == [note, note]
        assert len(inner.asked) == times


def test_result_counts_only_while_its_checkpoint_is_there(tmp_path: Path) -> None:
    checkpoint = tmp_path / "a.safetensors"
    checkpoint.write_bytes(b"x")
    inner = Counting(outcome=Outcome(DEEP, {"miou": 0.5}, checkpoint=str(checkpoint)))
    cached = Cached(inner, EvaluationFile(tmp_path / "evaluations.jsonl"))
    cached.evaluate(DEEP)
    assert cached.evaluate(DEEP).checkpoint == str(checkpoint) and len(inner.asked) == 1
    checkpoint.unlink()
    cached.evaluate(DEEP)
    assert len(inner.asked) == 2


def test_torn_line_is_skipped_and_nothing_else_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    entry = Entry({}, {"miou": 0.5}, "ok", "", None, 1.0)
    EvaluationFile(path).add("a", entry)
    with path.open("a") as stream:
        stream.write('{"version": 1, "key": "b", "val')
    EvaluationFile(path).add("c", entry)
    read = EvaluationFile(path)
    assert read.get("a") == read.get("c") == entry and read.get("b") is None
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    assert EvaluationFile(path).get("a") is None


def add_many(path: str, name: str) -> None:
    for number in range(40):
        EvaluationFile(Path(path)).add(f"{name}{number}", Entry({"n": "x" * 500}, {}, "ok", "", None, 0.0))


def test_processes_that_share_a_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    workers = [FRESH.Process(target=add_many, args=(str(path), name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 80


def test_rung_that_reaches_the_fidelity_answers() -> None:
    cheap, dear = Counting("cheap"), Counting("dear")
    ladder = Ladder([Rung(cheap, 0.1), Rung(dear, 1.0, whole=False)])
    for fidelity in (0.05, 0.1, 0.3, 1.0):
        assert ladder.evaluate(replace(DEEP, fidelity=fidelity)).request.fidelity == fidelity
    assert [request.fidelity for request in cheap.asked] == [1.0, 1.0]
    assert [request.fidelity for request in dear.asked] == [0.3, 1.0]
    assert ladder.identity(replace(DEEP, fidelity=0.1))["evaluator"] == "cheap"


@pytest.mark.parametrize("tops", [(), (0.5,), (0.5, 0.5, 1.0), (1.0, 0.5), (0.0, 1.0)])
def test_ladder_that_does_not_rise_to_one_is_refused(tops: tuple[float, ...]) -> None:
    with pytest.raises(HwnasError, match="must rise to a fidelity of 1"):
        Ladder([Rung(Counting(), top) for top in tops])


def test_key_does_not_depend_on_where_a_checkpoint_lies(tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(SPACE, tiny_images(), plan(tmp_path))
    keys = {
        key_of(evaluator.identity(replace(DEEP, continue_from=f"{folder}/abc.safetensors"))) for folder in ("/a", "/b")
    }
    assert len(keys) == 1
