"""What px-pick chooses by: `strand > 0.1 and failed == ''`, `contacts / binder_length`.

Python's way of writing, and nothing but columns, numbers, texts, `and or not`, comparisons, `in`,
`+ - * /`, abs, min and max: the tree is walked, nothing is evaluated. A cell that is empty is ''
and makes every comparison with a number false.
"""

import ast
import difflib
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pxtools.errors import InputError
from pxtools.runs.tables import Column, Value

LONGEST = 2000
DEEPEST = 50
CALLS: Mapping[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
ARITHMETIC: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
TRUTH, NUMBER, TEXT = "a comparison", "a number", "a text"


@dataclass(frozen=True)
class Expression:
    """Its value for a row: for a condition a bool, else a number or text, None where empty."""

    text: str
    kind: str
    of: Callable[[Any], Any]


def condition(option: str, text: str, columns: tuple[Column, ...]) -> Expression:
    """A condition that rows fulfil or do not. Raises InputError."""
    return _parsed(option, text, columns, TRUTH)


def quantity(option: str, text: str, columns: tuple[Column, ...]) -> Expression:
    """Something that rows can be sorted by. Raises InputError."""
    return _parsed(option, text, columns, NUMBER)


def _parsed(option: str, text: str, columns: tuple[Column, ...], kind: str) -> Expression:
    reader = _Reader(option, text, {column.name: column for column in columns})
    if len(text) > LONGEST:
        raise reader.wrong(f"at most {LONGEST} letters", len(text))
    try:
        with warnings.catch_warnings(action="ignore"):  # such as of 1or: we say it in our words
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise reader.wrong("an expression such as strand > 0.1 and failed == ''", text) from None
    try:
        found, of = reader.read(tree, 0)
    except RecursionError:  # it cannot be named in a message
        raise reader.wrong("a simpler expression", text[:80]) from None
    if found != kind:
        example = "contacts > 10" if kind == TRUTH else "contacts"
        raise reader.wrong(f"{kind} such as {example}", text)
    return Expression(text, found, of)


Read = tuple[str, Callable[[Any], Any]]


class _Reader:
    """Walks a tree; each `_on_` gives the kind of a node's value and how to get it of a row."""

    def __init__(self, option: str, text: str, columns: Mapping[str, Column]):
        self.option = option
        self.text = text
        self.columns = columns

    def wrong(self, expected: str, found: Any) -> InputError:
        return InputError.of_option(self.option, expected, str(found))

    def read(self, node: ast.AST, depth: int) -> Read:
        method = getattr(self, f"_on_{type(node).__name__}", None)
        if method is None or depth > DEEPEST:
            allowed = "columns, numbers, texts, and, or, not, < <= > >= == !=, in, + - * /"
            raise self.wrong(allowed, ast.unparse(node)[:80] if method is None else "too many ( )")
        read: Read = method(node, depth + 1)
        return read

    def _of_kind(self, node: ast.AST, depth: int, kind: str) -> Callable[[Any], Any]:
        found, of = self.read(node, depth)
        if found != kind:
            raise self.wrong(f"{kind} in place of {found}", ast.unparse(node))
        return of

    def _on_Name(self, node: ast.Name, depth: int) -> Read:
        column = self.columns.get(node.id)
        if column is None:
            near = difflib.get_close_matches(node.id, [*self.columns], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self.wrong(f"a column (px-pick --columns lists them{hint})", node.id)
        name = column.name
        if column.type is str:
            return TEXT, lambda row: getattr(row, name) or ""
        return NUMBER, lambda row: getattr(row, name)

    def _on_Constant(self, node: ast.Constant, depth: int) -> Read:
        value = node.value
        if type(value) in (int, float):
            return NUMBER, lambda row: value
        if type(value) is str:
            return TEXT, lambda row: value
        raise self.wrong("a number or a text", repr(value))

    def _on_BinOp(self, node: ast.BinOp, depth: int) -> Read:
        act = ARITHMETIC.get(type(node.op))
        if act is None:
            raise self.wrong("+ - * or /", ast.unparse(node))
        left, right = (self._of_kind(n, depth, NUMBER) for n in (node.left, node.right))
        return NUMBER, lambda row: _number(act, left(row), right(row))

    def _on_UnaryOp(self, node: ast.UnaryOp, depth: int) -> Read:
        if isinstance(node.op, ast.Not):
            truth = self._of_kind(node.operand, depth, TRUTH)
            return TRUTH, lambda row: not truth(row)
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise self.wrong("- or not", ast.unparse(node))
        number = self._of_kind(node.operand, depth, NUMBER)
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return NUMBER, lambda row: _number(operator.mul, sign, number(row))

    def _on_BoolOp(self, node: ast.BoolOp, depth: int) -> Read:
        truths = [self._of_kind(part, depth, TRUTH) for part in node.values]
        together = all if isinstance(node.op, ast.And) else any
        return TRUTH, lambda row: together(truth(row) for truth in truths)

    def _on_Compare(self, node: ast.Compare, depth: int) -> Read:
        nodes = [node.left, *node.comparators]
        parts = [self.read(part, depth) for part in nodes]
        pairs = []
        for i, op in enumerate(node.ops):
            (a_kind, a), (b_kind, b) = parts[i : i + 2]
            is_in = isinstance(op, ast.In | ast.NotIn)
            empty = {NUMBER, TEXT} == {a_kind, b_kind} and isinstance(op, ast.Eq | ast.NotEq)
            empty = empty and any(isinstance(n, ast.Constant) and n.value == "" for n in nodes)
            if type(op) not in COMPARISONS or TRUTH in (a_kind, b_kind):
                raise self.wrong("a comparison of two values", ast.unparse(node))
            if (a_kind != b_kind and not empty) or (is_in and b_kind != TEXT):
                raise self.wrong(f"two of one kind, found {a_kind} and {b_kind}", ast.unparse(node))
            pairs.append((COMPARISONS[type(op)], a, b, empty))
        return TRUTH, lambda row: all(_compared(*pair, row) for pair in pairs)

    def _on_Call(self, node: ast.Call, depth: int) -> Read:
        act = CALLS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        fits = len(node.args) == 1 if act is abs else len(node.args) > 1
        if act is None or node.keywords or not fits:
            raise self.wrong("abs(x), min(x, y) or max(x, y)", ast.unparse(node))
        numbers = [self._of_kind(argument, depth, NUMBER) for argument in node.args]
        return NUMBER, lambda row: _number(act, *(number(row) for number in numbers))


def _number(act: Callable[..., float], *values: float | None) -> float | None:
    """None where a cell is empty, or the result is no number."""
    if None in values:
        return None
    try:
        return act(*values)
    except (ZeroDivisionError, OverflowError):
        return None


def _compared(
    act: Callable[[Any, Any], bool],
    a: Callable[[Any], Value],
    b: Callable[[Any], Value],
    with_empty: bool,
    row: Any,
) -> bool:
    left, right = a(row), b(row)
    if with_empty:  # hotspots_contacted == ''
        return act("" if left is None else left, "" if right is None else right)
    return left is not None and right is not None and act(left, right)
