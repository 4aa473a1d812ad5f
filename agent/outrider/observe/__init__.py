"""Readers of a run's events. None of them can hold up a run or change it.

terminal   one plain line for each thing worth knowing, as it happens
story      a whole record as text to read
logs       every entry to structlog
"""
