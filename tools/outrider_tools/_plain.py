"""What strangers wrote, made fit to be shown."""


def one_line(text: str) -> str:
    """The text as one line of printable characters, words a space apart."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
