"""``python -m outrider.cli``, where no ``outrider`` is on the path."""

from outrider.cli import main

main()
