"""The one family of errors that users see. Bugs of ours are ``AssertionError`` and keep their traceback."""

from __future__ import annotations


class HwnasError(ValueError):
    """A mistake or a circumstance of the user's: one sentence that says what is wrong and where.

    ``hint`` says what to do next; the command line prints both and exits with 2.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class GenotypeError(HwnasError):
    """A genotype, cell or op graph that is not well formed; the message names the node."""


class DataError(HwnasError):
    """A data set that is missing, broken or inconsistent; the message names the first file."""


class TableError(HwnasError):
    """A latency table or bundle that is damaged, of another setting, or lacks a key."""


class BudgetError(HwnasError):
    """A budget that is not positive, or that nothing in the space can meet."""


class RunError(HwnasError):
    """A run directory or checkpoint that is busy, damaged, or belongs to another run."""


class ArtifactError(HwnasError):
    """An exported engine that cannot be built, opened or trusted."""


class MissingPackage(HwnasError):
    """An optional package that is not installed; the hint is the line that installs it."""


def out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, here or in what this error was raised from; torch says so by errors of its own."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
            return True
        error = error.__cause__
    return False
