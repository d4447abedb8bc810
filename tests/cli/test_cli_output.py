"""The shared conventions: what goes to which stream, in which form, with which exit code."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from hwnas.cli import output
from hwnas.cli.output import Answer, failure_of, jsonable, stdout_kept_clean
from hwnas.cli.verb import Shell, add_verb, verb
from hwnas.errors import BudgetError


@dataclass(frozen=True)
class Point:
    x: float
    where: Path


def test_jsonable_turns_facts_into_plain_data() -> None:
    value = {"p": Point(1.5, Path("a/b")), 3: (np.float32(0.5), np.arange(2)), "bad": math.nan, "far": math.inf}
    assert jsonable(value) == {
        "p": {"x": 1.5, "where": "a/b"},
        "3": [0.5, [0, 1]],
        "bad": None,
        "far": None,
    }


def test_jsonable_refuses_what_has_no_form() -> None:
    with pytest.raises(AssertionError, match="object"):
        jsonable(object())


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BudgetError("too small", "take more"), 2, "too small"),
        (KeyboardInterrupt(), 130, "stopped"),
        (OSError(errno.ENOSPC, "No space left on device", "w.bin"), 2, "disk is full writing w.bin"),
        (PermissionError(errno.EACCES, "Permission denied", "x/y"), 2, "cannot use x/y: Permission denied"),
        (MemoryError(), 2, "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 4 GB"), 2, "memory"),
        (ModuleNotFoundError("No module named 'optuna'", name="optuna"), 2, "package optuna"),
        (ModuleNotFoundError("No module named 'hwnas.x'", name="hwnas.x"), 70, "unexpected error"),
        (KeyError("node"), 70, "unexpected error KeyError: 'node'"),
    ],
)
def test_failure_of_maps_errors_to_sentence_and_exit_code(error: BaseException, code: int, said: str) -> None:
    failure = failure_of(error)
    assert failure.exit_code == code
    assert said in failure.message
    assert "\n" not in failure.message


def test_keyboard_interrupt_names_resume_only_where_there_is_one() -> None:
    assert "--resume" in failure_of(KeyboardInterrupt(), resumable=True).hint
    assert not failure_of(KeyboardInterrupt()).hint


def run_work(work: Callable[[], Answer], arguments: list[str], **options: Any) -> int:
    """The exit code of a command line whose verb ``go`` does ``work()``."""

    @verb(example="hwnas go", **options)
    def go(shell: Shell) -> Answer:
        return work()

    app = typer.Typer()
    app.callback()(lambda: None)
    add_verb(app, "go", go)
    code = typer.main.get_command(app).main(args=["go", *arguments], standalone_mode=False)
    assert isinstance(code, int)
    return code


def chatty() -> Answer:
    print("a library says hello")
    return Answer({"size": (1, 2)}, lambda console: console.print("found it"))


def test_json_is_one_document_and_chatter_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(chatty, ["--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"size": [1, 2]}
    assert "hello" in err


def test_text_is_for_people_and_chatter_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(chatty, []) == 0
    out, err = capsys.readouterr()
    assert out == "found it\n"
    assert "hello" in err


def test_answer_decides_the_exit_code() -> None:
    assert run_work(lambda: Answer({}, lambda console: None, output.EXIT_FAIL), []) == 1


def fails_with(error: BaseException) -> Callable[[], Answer]:
    def work() -> Answer:
        raise error

    return work


def test_user_error_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(fails_with(BudgetError("0ms is not positive", "give more")), []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: 0ms is not positive\nhint: give more\n"


def test_user_error_in_json_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(fails_with(BudgetError("0ms is not positive", "give more")), ["--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": "0ms is not positive", "hint": "give more"}


def test_bug_shows_its_traceback_only_with_v(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(fails_with(KeyError("x")), []) == 70
    assert "Traceback" not in capsys.readouterr().err
    assert run_work(fails_with(KeyError("x")), ["-v"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_ends_with_130_and_points_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_work(fails_with(KeyboardInterrupt()), [], resumable=True) == 130
    assert "--resume" in capsys.readouterr().err


def test_logs_and_progress_follow_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    def work() -> Answer:
        logging.getLogger("some.library").info("detail")
        return Answer({}, lambda console: None)

    run_work(work, [])
    assert "detail" not in capsys.readouterr().err
    run_work(work, ["-v"])
    assert "detail" in capsys.readouterr().err


def test_native_and_child_output_stays_off_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import os, subprocess, sys\n"
        "from hwnas.cli.output import stdout_kept_clean\n"
        "with stdout_kept_clean():\n"
        "    print('python'); os.write(1, b'native\\n'); subprocess.run(['echo', 'child'])\n"
        "print('answer')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "answer\n"
    assert {"python", "native", "child"} <= set(done.stderr.split())


def test_stdout_comes_back_after_an_error() -> None:
    before = sys.stdout
    with pytest.raises(KeyError), stdout_kept_clean():
        raise KeyError
    assert sys.stdout is before


def test_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "hwnas.cli", "sample", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (output.EXIT_BROKEN_PIPE, 1)
