"""README fits on a page, and README and docs are written in plain sentences. Code, tables and generated blocks do not count."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_BYTES = 8192
MOST_WORDS = 40
MEDIAN_WORDS = 16
GENERATED = re.compile(r"<!-- ([\w ]+): written by .*?<!-- end of \1 -->", re.S)


def prose(text: str) -> list[str]:
    """Paragraphs and list items: what is left without code, tables, headings, pictures, API directives and generated blocks."""
    text = GENERATED.sub("\n\n", text)
    text = re.sub(r"^```.*?^```$", "\n", text, flags=re.S | re.M)
    text = re.sub(r"^:::.*(\n    .*)*", "\n", text, flags=re.M)
    text = re.sub(r"^    .*$", "\n", text, flags=re.M)
    text = re.sub(r"^(#|\||!\[|!!!).*$", "\n", text, flags=re.M)
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def sentences(text: str) -> list[str]:
    """Of a paragraph; a point inside a number or a name ends none, and what ends without a point is a label."""
    parts = [
        part for paragraph in prose(text) for part in re.split(r"(?<=[.!?])[*\"')]* +(?=[*\"'(]*[A-Z0-9c|])", paragraph)
    ]
    return [part for part in parts if part]


def words(sentence: str) -> int:
    return len([word for word in sentence.split() if re.search(r"\w", word)])


def whole(text: str) -> list[str]:
    """Sentences that end as sentences do; labels would lower a median."""
    return [sentence for sentence in sentences(text) if re.search(r"[.!?:][*\"')]*$", sentence)]


def test_the_readme_fits_on_a_page() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= MOST_BYTES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    text = page.read_text()
    long = [f"{words(s)}: {s}" for s in sentences(text) if words(s) > MOST_WORDS]
    assert long == []
    assert median([words(s) for s in whole(text)] or [0]) <= MEDIAN_WORDS


def test_the_count_counts() -> None:
    text = """# Title

One two three. Four `a b c d` five .77 six; seven eight [nine ten](x.md).

| a | table |
```sh
code that is long
```
- an item of six words here
<!-- t: written by x.py -->
generated. words.
<!-- end of t -->
"""
    assert [words(s) for s in sentences(text)] == [3, 9, 6]
    assert [words(s) for s in whole(text)] == [3, 9]
    assert words(sentences("word " * 41 + ".")[0]) == 41 > MOST_WORDS


@pytest.mark.parametrize("word", ["ledger", "neurons that wait", "the energy room", "this room"])
def test_old_words_are_gone(word: str) -> None:
    assert [page.name for page in PAGES if word in GENERATED.sub("", page.read_text()).lower()] == []
