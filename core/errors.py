"""The one error that reaches a user as a single line, and how much of bad input such a line quotes."""

MOST_QUOTED = 80  # of one value
MOST_SAID = 600  # of a whole sentence: the beginning says what and where, the end the remedy


class UserError(ValueError):
    """Bad input: says what was found, where, and the remedy. The command line prints it and exits with 2."""


def quoted(value: object) -> str:
    """`repr(value)`, cut where it is long.

    >>> quoted("x")
    "'x'"
    """
    try:
        return _cut(repr(value), MOST_QUOTED)
    except (ValueError, RecursionError):  # an integer of thousands of digits; nested too deeply
        return f"a {type(value).__name__} too long to print"


def short(error: object) -> str:
    """The text of an error as one line; a long one loses its middle."""
    return _cut(" ".join(str(error).split()), MOST_SAID)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most * 3 // 4]} ... {text[len(text) - most // 4 :]}"
