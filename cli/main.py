"""The entry point ``hwnas``: the list of verbs, and what happens before and around them.

A verb lives in the module of its name and imports what it needs when it runs, so ``hwnas --help`` needs no torch.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import hwnas
from hwnas.cli.output import EXIT_BUG, EXIT_OK, EXIT_USER, Failure, failure_of, print_failure
from hwnas.cli.verb import add_verb, leave_broken_pipe

VERBS = (
    "deploy",
    "doctor",
    "data",
    "profile",
    "search",
    "worker",
    "methods",
    "trials",
    "pareto",
    "train",
    "export",
    "benchmark",
    "validate",
    "predict",
    "explain",
    "cost",
    "compile",
    "draw",
    "sample",
    "proxy-study",
    "zoo",
)
"""In the order of ``hwnas --help``. Each module has ``command`` (one verb) or ``app`` (a group of verbs)."""


def build_app() -> typer.Typer:
    """The Typer app with every verb."""
    app = typer.Typer(
        name="hwnas",
        help="From a folder of images and a millisecond budget to a segmentation engine that meets it.",
        epilog="Example:\n\nhwnas deploy --data streets --size 180x240 --budget 5ms --run runs/demo",
        add_completion=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for name in VERBS:
        module: Any = importlib.import_module(f"hwnas.cli.{name.replace('-', '_')}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            add_verb(app, name, module.command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        command = typer.main.get_command(build_app())
        code = command.main(args=words or ["--help"], prog_name="hwnas", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_OK
    except BrokenPipeError:
        return leave_broken_pipe()
    except (Exception, KeyboardInterrupt) as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a verb: its help has been printed
            return EXIT_OK
        failure = _usage_failure(error) or failure_of(error)
        if failure.exit_code == EXIT_BUG and any(word.startswith(("-v", "--verbose")) for word in words):
            traceback.print_exc(file=sys.stderr)
        print_failure(failure, as_json=as_json)
        return failure.exit_code


def _usage_failure(error: BaseException) -> Failure | None:
    """A command line that cannot be parsed. Told by its methods: the class moved between releases of typer."""
    if not hasattr(error, "format_message"):
        return None
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "hwnas"
    return Failure(message[:1].lower() + message[1:], f"see {path} --help", EXIT_USER)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"hwnas {hwnas.__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing of its own: options before the verb."""


if __name__ == "__main__":
    sys.exit(main())
