"""Prints the lowest version that each range of pyproject.toml allows, and the test tools as requirements.txt pins them."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lowest() -> list[str]:
    ranges = PROJECT["dependencies"] + [line for name, lines in EXTRAS.items() if name != "dev" for line in lines]
    tools = {re.match(r"[\w-]+", line)[0] for line in EXTRAS["dev"] if re.match("pytest|hypothesis|pillow", line)}
    pinned = [line for line in (ROOT / "requirements.txt").read_text().split() if line.split("==")[0] in tools]
    return sorted({re.sub(r">=([\w.]+).*", r"==\1", line) for line in ranges}) + pinned


if __name__ == "__main__":
    print("\n".join(lowest()))
