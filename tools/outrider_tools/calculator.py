"""Exact arithmetic on what a model writes: ``23*19+7``, ``90 minus 15``, ``3 x (4 - 1.5)``.

The text is parsed, never evaluated: only numbers, the operators below and parentheses exist. Values are
fractions, so 0.1 + 0.2 is 0.3; they are bounded, so that no expression can hold the processor.
"""

import ast
import operator
import re
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

from outrider import ToolError, tool

MAX_TEXT = 500
"""Longest expression, in characters."""
MAX_BITS = 4000
"""Largest numerator or denominator of any value on the way: about 1200 decimal digits."""
DIGITS = 28
"""Significant digits of a result that is not whole."""

_WORDS = {
    "to the power of": "**",
    "multiplied by": "*",
    "divided by": "/",
    "plus": "+",
    "minus": "-",
    "times": "*",
    "modulo": "%",
    "mod": "%",
}
_SIGNS = str.maketrans(
    {
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{MIDDLE DOT}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "^": "**",
    }
)
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")
_TIMES = re.compile(r"(?<=[\d)])(?<!\b0)\s*x\s*(?=[\d.(-])|(?<=[\d)])\s+x\s+(?=[\d.(-])")  # not the x of 0x1f
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])")
_KNOWN = re.compile(r"[0-9 .+\-*/%()]+|(?<=[0-9.])e(?=[0-9+-])")
_ALLOWED = "Write numbers, parentheses and + - * / // % ** only."

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}


@tool(effect="read", trust="trusted")
def calculator(expression: str) -> str:
    """Calculate an arithmetic expression exactly.

    Args:
        expression: Numbers, parentheses and + - * / // % **, for example "(4 + 5) * 3" or "90 minus 15".
    """
    return calculate(expression)


def calculate(expression: str) -> str:
    """The value of an expression as text. Raises ToolError saying what is not understood or too large."""
    if len(expression) > MAX_TEXT:
        raise ToolError(f"The expression has {len(expression)} characters; at most {MAX_TEXT} are allowed.")
    text = _plain(expression)
    if unknown := " ".join(_KNOWN.sub(" ", text).split()):
        raise ToolError(f"Not understood: {unknown!r}. {_ALLOWED}")
    try:
        return _show(_value(ast.parse(text, mode="eval").body, text))
    except ZeroDivisionError:
        raise ToolError("Division by zero.") from None
    except (SyntaxError, RecursionError, MemoryError):  # the last two by very deep nesting
        raise ToolError(f"Not an expression: {text!r}. {_ALLOWED}") from None


def _plain(expression: str) -> str:
    text = " ".join(expression.lower().translate(_SIGNS).rstrip(" =?").split())
    text = _WORD.sub(lambda match: _WORDS[match[0]], text)
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return _TIMES.sub("*", text)


def _value(node: ast.expr, text: str) -> Fraction:
    match node:
        case ast.Constant(value=int() | float()):
            return _number(ast.get_source_segment(text, node) or "")
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, text)
        case ast.UnaryOp(op=ast.UAdd()):
            return _value(node.operand, text)
        case ast.BinOp(op=ast.Pow()):
            return _power(_value(node.left, text), _value(node.right, text))
        case ast.BinOp() if operation := _OPERATIONS.get(type(node.op)):
            return _bounded(operation(_value(node.left, text), _value(node.right, text)))
        case _:
            part = ast.get_source_segment(text, node)
            raise ToolError(f"Not an expression: {part!r}. {_ALLOWED}")


def _number(written: str) -> Fraction:
    decimal = Decimal(written)
    if abs(decimal.adjusted()) > MAX_BITS // 4:  # before a fraction writes 1e999999999 out in full
        raise _too_large()
    return _bounded(Fraction(decimal))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator == 1:
        if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent) > MAX_BITS:
            raise _too_large()
        return base ** int(exponent)
    if base < 0:
        raise ToolError("A negative number has no real power with a fractional exponent.")
    if abs(exponent) > MAX_BITS:
        raise _too_large()
    context = Context(prec=DIGITS)
    root = context.power(_decimal(base, context), _decimal(exponent, context))
    if abs(root.adjusted()) > MAX_BITS // 4:
        raise _too_large()
    return _bounded(Fraction(root))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise _too_large()
    return value


def _decimal(value: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _show(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    decimal = _decimal(value, Context(prec=DIGITS)).normalize()
    return format(decimal, "f") if abs(decimal.adjusted()) < DIGITS else str(decimal)


def _too_large() -> ToolError:
    return ToolError(f"A number on the way is too large: at most about {MAX_BITS * 3 // 10} digits.")
