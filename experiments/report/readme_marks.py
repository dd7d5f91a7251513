"""Where a generated table stands on a page: between two comments that name it."""

from __future__ import annotations


def between(text: str, section: str, new: str) -> str:
    """`text` with what stands between a section's marks replaced."""
    begin, end = marks(section)
    before, rest = text.split(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def marks(section: str) -> tuple[str, str]:
    return f"<!-- {section}: written by experiments/report/readme.py -->", f"<!-- end of {section} -->"
