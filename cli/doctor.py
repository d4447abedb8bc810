"""``hwnas doctor``: what this machine has, what is missing, and the line that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.cli.checks import Check

STYLES = {"ok": "green", "note": "yellow", "optional": "dim", "problem": "bold red"}


@verb(example="hwnas doctor")
def command(shell: Shell) -> Answer:
    """Check this machine: processor, memory, torch, the engines, graphviz, and what could be added.

    Ends with exit code 1 if something that hwnas needs is missing or broken.
    """
    from hwnas.cli.checks import all_checks

    checks = all_checks()
    healthy = all(check.status != "problem" for check in checks)
    document = {"ok": healthy, "checks": checks}

    def text(console: Console) -> None:
        print_checks(console, checks)
        problems = sum(check.status == "problem" for check in checks)
        console.print("all that is needed is here" if healthy else f"{problems} problem(s): see the hints above")

    return Answer(document, text, EXIT_OK if healthy else EXIT_FAIL)


def print_checks(console: Console, checks: list[Check]) -> None:
    """One line a check, its hint below it."""
    from rich.text import Text

    width = max(len(check.name) for check in checks)
    for check in checks:
        line = Text(f"{check.name:{width}}  ")
        line.append(f"{check.status:8}", style=STYLES[check.status])
        line.append(f"  {check.value}")
        console.print(line, soft_wrap=True)
        for hint in check.hint.splitlines():
            console.print(f"{'':{width}}  → {hint}", markup=False, soft_wrap=True)
