"""The command line as a whole: quick, light, one sentence for each mistake, an example in every help."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer

from hwnas.cli.main import VERBS, build_app, main

EXAMPLE_WIDTH = 78
"""A longer example would be broken over two lines of an 80-column terminal and could not be copied."""


def commands() -> list[list[str]]:
    """Every command as words: ``["zoo", "list"]``."""
    top = typer.main.get_command(build_app())
    found = []
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        found += [[name, sub] for sub in getattr(command, "commands", {})] or [[name]]
    return found


def test_all_verbs_are_there() -> None:
    assert {words[0] for words in commands()} == set(VERBS)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_takes_the_shared_options_and_ends_its_help_with_an_example(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--json", "--seed", "--verbose", "-v", "--quiet", "-q", "--help"):
        assert option in shown
    example = shown.split("Example:")[1].strip()
    assert example.startswith(f"hwnas {' '.join(words)}")
    assert len(example.splitlines()) == 1
    assert len(example) <= EXAMPLE_WIDTH


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_examples_parse(words: list[str]) -> None:
    """Each example's options exist: parsing stops only at values, never at names."""
    command = typer.main.get_command(build_app())
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert command.epilog
    arguments = command.epilog.split("\n\n")[1].split()[1 + len(words) :]
    command.make_context("hwnas", arguments).close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cost"], "missing argument 'GENOTYPE'"),
        (["costs"], "no such command 'costs'"),
        (["cost", "--sise", "3"], "no such option: --sise"),
        (["cost", "no-such-net"], "no-such-net"),
        (["cost", "x.json", "--size", "big"], "size 'big' is not HEIGHTxWIDTH"),
        (["sample", "-n", "0", "-o", "x"], "invalid value for '-n'"),
        (["cost", "x.json", "--seed", "-1"], "--seed"),
    ],
)
def test_mistakes_are_one_sentence_and_a_hint(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("error: ") and said in lines[0]
    assert lines[1].startswith("hint: ") and len(lines) == 2


def test_mistakes_in_json_are_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"error", "hint"}
    assert "GENOTYPE" in document["error"]


@pytest.mark.parametrize("arguments", [[], ["zoo"], ["data"]])
def test_without_a_verb_help_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_top_level_is_quick_and_needs_no_torch(option: str) -> None:
    code = (
        "import sys; from hwnas.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'onnx', 'onnxruntime', 'optuna'} & set(sys.modules); sys.exit(code)"
    )
    times = []
    for _ in range(3):
        before = children_cpu_s()
        subprocess.run([sys.executable, "-c", code, option], check=True, capture_output=True, timeout=60)
        times.append(children_cpu_s() - before)
    assert min(times) < 1.0


def children_cpu_s() -> float:
    """CPU time of all child processes that have ended: a busy machine does not add to it."""
    times = os.times()
    return times.children_user + times.children_system
