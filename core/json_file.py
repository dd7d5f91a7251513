"""JSON from files that anybody may have written: what cannot be read is one short ValueError, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spikeplan.core.errors import short

MAX_DEPTH = 32  # of lists and objects in each other; ours have at most 10


def read_json(path: Path) -> Any:
    """The value that the file holds.

    Raises FileNotFoundError where there is none, and ValueError for a folder, a loop of links, another encoding than UTF-8,
    text that is no JSON, and lists or objects nested deeper than MAX_DEPTH.

    >>> read_json(Path("config.json"))["command"]
    """
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def parse_json(data: bytes) -> Any:
    """The value of JSON text in UTF-8. Raises ValueError as `read_json` does."""
    too_deep = f"lists or objects nested deeper than {MAX_DEPTH}"
    try:
        found = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise ValueError(too_deep) from error
    except ValueError as error:
        raise ValueError(short(error)) from error
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level if isinstance(each, list | dict) for inner in _inside(each)]
        if not level:
            return found
    raise ValueError(too_deep)


def _inside(value: list[Any] | dict[str, Any]) -> list[Any]:
    return [each for each in (value.values() if isinstance(value, dict) else value) if isinstance(each, list | dict)]
