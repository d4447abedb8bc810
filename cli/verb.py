"""What all verbs share: the options every one takes, and how one is run, answered and ended.

A verb is a function ``(shell, its own options…) -> Answer``. :func:`verb` turns it into the command: it adds
``--json --seed -v -q``, keeps standard output clean while the work runs, prints the answer and maps errors to exit
codes.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.criteria_options import CriteriaOptions, criteria_options
from hwnas.cli.evaluator_options import EvaluatorOptions, evaluator_options
from hwnas.cli.export_options import ExportOptions, export_options
from hwnas.cli.network_options import NetworkOptions, network_options
from hwnas.cli.output import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    Answer,
    failure_of,
    print_answer,
    print_failure,
    stderr_console,
    stdout_kept_clean,
)
from hwnas.cli.progress import open_progress
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.progress import Progress

SHARED_PANEL = "Options of every verb"


@dataclass(frozen=True)
class Shell:
    """What a verb gets from the command line around it."""

    progress: Progress
    seed: int
    verbosity: int
    """-1 with ``-q``, 0, or the number of ``-v``."""
    started: float = field(default_factory=time.monotonic)
    """When the verb began, before its heavy imports (``time.monotonic``)."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Parameters that were given on the command line → how their options are spelled."""

    def refuse(self, *parameters: str, why: str, hint: str) -> None:
        """Refuse options that were given and would do nothing: a HwnasError that names them and says ``why``."""
        flags = [self.given[name] for name in parameters if name in self.given]
        if flags:
            raise HwnasError(f"{', '.join(flags)} would do nothing: {why}", hint)


@dataclass(frozen=True)
class Flags:
    """The options every verb takes."""

    as_json: bool
    seed: int
    verbose: int
    quiet: bool
    given: Mapping[str, str]
    """As :class:`Shell` has it."""


def verb(*, example: str, resumable: bool = False) -> Callable[[Callable[..., Answer]], Callable[..., int]]:
    """Turn ``work(shell, …) -> Answer`` into a command that returns its exit code.

    A parameter of the type :class:`NetworkOptions` stands for the options that say which network is meant, one of
    :class:`EvaluatorOptions` for those that say how candidates are evaluated, and so on: see ``_GROUPS``.

    ``example`` ends the command's help. ``resumable``: the command has ``--resume``, which Ctrl-C then points to.
    """

    def decorate(work: Callable[..., Answer]) -> Callable[..., int]:
        @functools.wraps(work)
        def command(ctx: typer.Context, json: bool, seed: int, verbose: int, quiet: bool, **options: Any) -> int:
            flags = Flags(json, seed, verbose, quiet, _given(ctx))
            return run_verb(work, options, flags, resumable=resumable)

        signature = _signature_with_shared_options(work)
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {name: item.annotation for name, item in signature.parameters.items()}
        command.example = example  # type: ignore[attr-defined]
        del command.__wrapped__
        return command

    return decorate


def add_verb(app: typer.Typer, name: str, command: Callable[..., int], *, example: str = "") -> None:
    """Register a command made by :func:`verb`, with its example, or ``example``, below its help."""
    example = example or command.example  # type: ignore[attr-defined]
    app.command(name, epilog=f"Example:\n\n{example}")(command)


def new_group(help_text: str, *, example: str) -> typer.Typer:
    """A group of verbs (``hwnas zoo list``); without one of them it shows its help."""
    return typer.Typer(help=help_text, epilog=f"Example:\n\n{example}", no_args_is_help=True)


def new_group_with_default(command: Callable[..., int], *, help_text: str) -> typer.Typer:
    """A group of verbs that is a verb itself, ``command``, where none of them is named (``hwnas profile --size …``)."""
    example: str = command.example  # type: ignore[attr-defined]
    app = typer.Typer(help=help_text, epilog=f"Example:\n\n{example}")

    def alone(ctx: typer.Context, **options: Any) -> int | None:
        if ctx.invoked_subcommand is None:
            return command(ctx=ctx, **options)
        if _given(ctx):
            ctx.fail(f"options belong behind {ctx.invoked_subcommand!r}, not before it")
        return None

    signature = inspect.signature(command)
    alone.__signature__ = signature  # type: ignore[attr-defined]
    alone.__annotations__ = {name: item.annotation for name, item in signature.parameters.items()}
    app.callback(invoke_without_command=True)(alone)
    return app


def run_verb(work: Callable[..., Answer], options: dict[str, Any], flags: Flags, *, resumable: bool) -> int:
    """Run the work, print its answer or its error, and return the exit code."""
    try:
        answer = _answer(work, options, flags)
        print_answer(answer, as_json=flags.as_json)
        return answer.exit_code
    except BrokenPipeError:
        return leave_broken_pipe()
    except (Exception, KeyboardInterrupt) as error:
        failure = failure_of(error, resumable=resumable)
        if flags.verbose and failure.exit_code == EXIT_BUG:
            traceback.print_exc(file=sys.stderr)
        print_failure(failure, as_json=flags.as_json)
        return failure.exit_code


def leave_broken_pipe() -> int:
    """Whoever read our output is gone: say nothing more, not even while the interpreter closes its streams."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE


def _answer(work: Callable[..., Answer], options: dict[str, Any], flags: Flags) -> Answer:
    verbosity = -1 if flags.quiet else flags.verbose
    console = stderr_console()
    logs = _logs_shown(lambda line: console.print(line, markup=False), verbosity)
    with logs, stdout_kept_clean(), open_progress(console, quiet=flags.quiet) as progress:
        _check_numbers(options, flags.given)
        shell = Shell(progress, flags.seed, verbosity, given=flags.given)
        return work(shell, **_gathered(work, options))


def _given(ctx: typer.Context) -> dict[str, str]:
    """Parameters that stand on the command line → how their options are spelled."""
    found = {}
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name) if parameter.name is not None else None
        if source is not None and source.name == "COMMANDLINE":
            found[str(parameter.name)] = parameter.opts[0]
    return found


def _check_numbers(options: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Refuse ``inf`` and ``nan``, which typer takes for numbers within any bounds."""
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise HwnasError(f"{given.get(name, name)} cannot be {value}", "give a finite number")


class _LineHandler(logging.Handler):
    """Writes log lines through the console that draws the progress bars, so that neither tears the other."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


@contextmanager
def _logs_shown(write: Callable[[str], None], verbosity: int) -> Iterator[None]:
    """Log lines go to ``write`` meanwhile; a program that calls a verb finds its own logging as it was."""
    levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
    handler = _LineHandler(write)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(levels.get(verbosity, logging.DEBUG))
    try:
        with warnings.catch_warnings():
            if verbosity <= 0:
                warnings.simplefilter("ignore")  # libraries' remarks to their developers; -v shows them
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _signature_with_shared_options(work: Callable[..., Answer]) -> inspect.Signature:
    """The signature typer reads: its context, the verb's own options without ``shell``, the shared ones; by keyword."""
    own: list[inspect.Parameter] = []
    for item in list(inspect.signature(work, eval_str=True).parameters.values())[1:]:
        own += _GROUPS.get(item.annotation, [item])
    shared = inspect.signature(_shared_options, eval_str=True).parameters.values()
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in (*own, *shared))]
    return inspect.Signature(parameters, return_annotation=int)


_GROUPS: dict[Any, list[inspect.Parameter]] = {
    kind: list(inspect.signature(options, eval_str=True).parameters.values())
    for kind, options in (
        (NetworkOptions, network_options),
        (EvaluatorOptions, evaluator_options),
        (ExportOptions, export_options),
        (CriteriaOptions, criteria_options),
    )
}
"""Types of parameters that stand for several options."""


def _gathered(work: Callable[..., Answer], options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with those of each group in one value, under the name of the parameter that takes them."""
    for item in inspect.signature(work, eval_str=True).parameters.values():
        if item.annotation in _GROUPS:
            given = {option.name: options.pop(option.name) for option in _GROUPS[item.annotation]}
            given = {name: tuple(value or ()) if name == "param" else value for name, value in given.items()}
            options[item.name] = item.annotation(**given)
    return options


def _shared_options(
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.", rich_help_panel=SHARED_PANEL)
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of everything random.", rich_help_panel=SHARED_PANEL)
    ] = 0,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more.", rich_help_panel=SHARED_PANEL)
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, errors only.", rich_help_panel=SHARED_PANEL)
    ] = False,
) -> None:
    """Only its signature is used."""
