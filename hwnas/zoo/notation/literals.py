"""Reading the Python-like texts in which architectures are published: names, numbers, texts, lists, dictionaries.

Such a text is parsed, never evaluated: whatever is not plain data, or a call of a name that the notation declares, is
refused with its line and column.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hwnas.errors import GenotypeError

MAX_CHARACTERS = 1_000_000
_WORDS = {"true": True, "false": False, "null": None}
_ARRAYS = frozenset({"array", "np.array", "numpy.array"})


@dataclass(frozen=True)
class Call:
    """``name(*positional, **keywords)`` as it stood in the text; nothing was called."""

    name: str
    positional: tuple[Any, ...]
    keywords: dict[str, Any]


def read_literals(text: str, *, calls: Collection[str] = ()) -> dict[str, Any]:
    """The values that ``text`` assigns to names; a value that stands alone is found under ``""``.

    A dictionary that stands alone counts as its assignments, so JSON is read, too. ``np.array([…])`` is the list in it.
    Names in ``calls`` may be called and give a :class:`Call`. Everything else is a GenotypeError that says where.
    """
    found: dict[str, Any] = {}
    for statement in _parsed(text).body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                raise _refused(target, "is not a name to assign to")
            items = {target.id: _value(statement.value, calls)}
        elif isinstance(statement, ast.Expr):
            value = _value(statement.value, calls)
            items = value if isinstance(value, dict) and all(type(key) is str for key in value) else {"": value}
        else:
            raise _refused(statement, "is code; a notation holds data and is not executed")
        for name, value in items.items():
            if name in found:
                raise _refused(statement, f"gives {name!r} a second time" if name else "is a second value")
            found[name] = value
    return found


def _parsed(text: str) -> ast.Module:
    if len(text) > MAX_CHARACTERS:
        raise GenotypeError(f"the notation is longer than {MAX_CHARACTERS} characters")
    start = text.lstrip()
    lines_before = text.count("\n") - start.count("\n")  # an indented first line is no fault; lines count as they stand
    try:
        return ast.parse("\n" * lines_before + start)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        shown = (error.text or "").rstrip("\n")
        raise GenotypeError(
            f"the notation does not parse: {error.msg} in line {line}, column {column}",
            f"it reads: {shown.strip()[:100]}" if shown.strip() else "",
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"the notation does not parse: {error or 'it is nested too deeply'}") from error


def _value(node: ast.expr, calls: Collection[str]) -> Any:
    if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (bool, int, float, str)):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item, calls) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {_key(key, node): _value(value, calls) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand, calls)
        if type(number) in (int, float):
            return -number
    if isinstance(node, ast.Call):
        return _call(node, calls)
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return _WORDS[node.id]
        raise _refused(node, f"is the name {node.id!r}, which stands for nothing here")
    raise _refused(node, "is code; a notation holds data and is not executed")


def _key(key: ast.expr | None, where: ast.Dict) -> str | int:
    if isinstance(key, ast.Constant) and isinstance(key.value, str | int) and not isinstance(key.value, bool):
        return key.value
    raise _refused(key or where, "is not a key; keys are texts or whole numbers")


def _call(node: ast.Call, calls: Collection[str]) -> Any:
    name = _dotted(node.func)
    positional = tuple(_value(argument, calls) for argument in node.args) if name in _ARRAYS or name in calls else ()
    if name in _ARRAYS and positional and isinstance(positional[0], list):
        return positional[0]
    if name not in calls:
        raise _refused(node, f"calls {name or 'something'}; a notation holds data and is not executed")
    keywords = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _refused(keyword.value, "is code; a notation holds data and is not executed")
        keywords[keyword.arg] = _value(keyword.value, calls)
    return Call(str(name), positional, keywords)


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else None
    return None


def _refused(node: ast.AST, why: str) -> GenotypeError:
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    return GenotypeError(f"notation, line {line}, column {column}: this {why}")
