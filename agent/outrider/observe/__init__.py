"""Readers of a run's events. None of them can hold up a run or change it.

terminal   one line for each thing worth knowing, as it happens
screen     the same on a terminal, with a line below them of what is going on (status, glass, paint)
story      a whole record as text to read
logs       every entry to structlog
"""
