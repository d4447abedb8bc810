"""Top-level definitions cut out of a Python file, with all that they use of it. The file itself is not run."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from hwnas.errors import HwnasError


@dataclass(frozen=True)
class Extract:
    """``imports`` and ``definitions`` are source texts, in the file's order; ``names`` are what the latter define."""

    imports: tuple[str, ...]
    definitions: tuple[str, ...]
    names: tuple[str, ...]


def extract(module: str, wanted: Iterable[str]) -> Extract:
    """Cut the definitions ``wanted`` out of the file of ``module``, and those that they use in turn."""
    text = _source_of(module)
    tree = ast.parse(text)
    defined: dict[str, ast.stmt] = {name: statement for statement in tree.body for name in _defines(statement)}
    needed: set[str] = set()
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name not in needed and name in defined:
            needed.add(name)
            queue += sorted(_uses(defined[name]))
    statements = {id(defined[name]): defined[name] for name in defined if name in needed}
    used = {name for statement in statements.values() for name in _uses(statement)}
    lines = text.splitlines()
    return Extract(
        imports=tuple(line for statement in tree.body for line in _import_lines(statement, used)),
        definitions=tuple(_text_of(statement, lines) for statement in statements.values()),
        names=tuple(name for name in defined if name in needed),
    )


def _source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    get_source = getattr(spec.loader, "get_source", None) if spec else None
    text = get_source(module) if get_source else None
    if not text:
        raise HwnasError(f"the source of {module} cannot be read", "its modules must be in a Python file")
    return str(text)


def _defines(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _uses(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _import_lines(statement: ast.stmt, used: set[str]) -> list[str]:
    """The import as far as it binds a used name, one line for each name; ``from __future__`` is the caller's."""
    if not isinstance(statement, (ast.Import, ast.ImportFrom)):
        return []
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return []
    wanted = [alias for alias in statement.names if (alias.asname or alias.name.split(".")[0]) in used]
    if isinstance(statement, ast.Import):
        return [ast.unparse(ast.Import([alias])) for alias in wanted]
    return [ast.unparse(ast.ImportFrom(statement.module, [alias], statement.level)) for alias in wanted]


def _text_of(statement: ast.stmt, lines: list[str]) -> str:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(lines[first - 1 : statement.end_lineno])
