"""Python types, signatures and raw schemas -> JSON Schema, and the check of JSON text against them.

check      Checker, and the two there are: of a Python type, of a raw JSON Schema
signature  a function's parameters -> what a model is told of them, and the check of what it writes
problems   what is wrong with a value, in lines such as ``$.items[2].price: 'abc' is not a number``
places     where a value that may be cut off does not fit
answer     what an answer has to be: its name, its checker, its schema with an object at the root
strict     the strict form for ``response_format``
nulls      nulls that stand in it for what was left out
sent       what is sent for a type and what was changed for that: ``print(report(Invoice))``
walk       where in a schema the schemas are
names      tool names as the wire allows them, and back
"""

from outrider.schema.answer import WRAP, Answer, answer_of
from outrider.schema.check import (
    Checked,
    Checker,
    Mismatch,
    Schema,
    SchemaChecker,
    TypeChecker,
    check_schema,
    checker_for,
)
from outrider.schema.names import wire_name, wire_names
from outrider.schema.nulls import Nulls
from outrider.schema.problems import explain
from outrider.schema.sent import Report, Sent, report
from outrider.schema.signature import Signature, parameters_of, signature_of
from outrider.schema.strict import StrictForm, strict_form

__all__ = [
    "WRAP",
    "Answer",
    "Checked",
    "Checker",
    "Mismatch",
    "Nulls",
    "Report",
    "Schema",
    "SchemaChecker",
    "Sent",
    "Signature",
    "StrictForm",
    "TypeChecker",
    "answer_of",
    "check_schema",
    "checker_for",
    "explain",
    "parameters_of",
    "report",
    "signature_of",
    "strict_form",
    "wire_name",
    "wire_names",
]
