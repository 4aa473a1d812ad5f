"""Every row of the fact sheet has a test."""

import importlib
from pathlib import Path

from rows_kit import COVERED, ROWS

HERE = Path(__file__).parent


def test_every_row_has_a_test_of_its_name() -> None:
    files = sorted(HERE.glob("test_rows_*.py"))
    assert len(files) >= 3
    for file in files:
        importlib.import_module(file.stem)
    rows = {f"{section}/{fact}" for section, facts in ROWS.items() for fact in facts}
    assert set(ROWS) == {"4", "5.1", "5.2", "5.3", "6.5", "9.4"}
    assert sorted(rows - COVERED) == []
