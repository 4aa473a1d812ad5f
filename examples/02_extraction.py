# python examples/02_extraction.py MODEL   (local, or any model on OpenRouter)
"""Text in, checked data out: no tools, one request, a Pydantic model that says what is wanted."""

import os
import sys
from decimal import Decimal

from pydantic import BaseModel, Field

from outrider import Agent, OutriderError, SetupError


class Invoice(BaseModel):
    vendor: str
    number: str = Field(description="The invoice number, as printed")
    total: Decimal
    currency: str = Field(description="Three capital letters, as in EUR")


TEXTS = [
    "Invoice INV-2041 from Harbor Supplies: total due 1250.40 EUR by 30 June.",
    "Please pay Northwind Paper 89.90 USD for invoice NP-77.",
]
MODEL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OUTRIDER_MODEL", "qwen/qwen3-14b")

try:
    agent = Agent(MODEL, output=Invoice, instructions="Extract the invoice's fields. Copy; invent nothing.")
    for text in TEXTS:
        result = agent.run_sync(text)
        invoice = result.output  # an Invoice, for the type checker as well; raises NoOutput when there is none
        print(f"{invoice.vendor} | {invoice.number} | {invoice.total:.2f} {invoice.currency}   ({result})")
except OutriderError as error:
    print(error, file=sys.stderr)
    sys.exit(2 if isinstance(error, SetupError) else 1)
