"""Run as a script: `fuzz_child.py WHOLE CASES SEED` damages a copy of WHOLE and reads it, CASES times.

A process of its own, because a decoder may take the interpreter with it; with 1 GiB on top of what the libraries take and
5 s a case, so that a header cannot have gigabytes and a loop cannot have for ever. Prints how many were read and refused.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.eventdata.readers import open_events, open_recording

LIMIT_BYTES = 1 << 30
CASE_S = 5


def damage(whole: bytes, rng: random.Random) -> bytes:
    """A cut, some bytes overwritten, a stretch taken out or put in twice. Half of it in the first 256 bytes."""
    data = bytearray(whole)
    spot = rng.randrange(min(len(data), 256) if rng.random() < 0.5 else len(data))
    kind = rng.random()
    if kind < 0.2:
        return bytes(data[:spot])
    if kind < 0.3:
        length = rng.randrange(1, 40)
        return bytes(data[:spot] + data[spot + length :])
    if kind < 0.4:
        return bytes(data[:spot] + data[max(0, spot - rng.randrange(1, 40)) :])
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = min(len(data) - 1, spot + rng.randrange(16))
        data[at] = rng.choice(
            (0, 0x25, 0x7F, 0x80, 0xD0, 0xFE, 0xFF, rng.randrange(256), data[at] ^ 1 << rng.randrange(8))
        )
    return bytes(data)


def outcome(path: Path) -> str:
    """Whole and in chunks, which must agree on what is a recording."""
    said = []
    for read in (lambda: open_recording(path), lambda: list(open_events(path, chunk=37).chunks)):
        try:
            read()
            said.append("read")
        except UserError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and ";" in str(error), repr(error)
            said.append("refused")
    return said[0]


def main(whole_path: Path, cases: int, seed: int, folder: str) -> None:
    whole, rng = whole_path.read_bytes(), random.Random(seed)
    assert outcome(whole_path) == "read"
    with open("/proc/self/statm") as handle:
        used = int(handle.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES, used + LIMIT_BYTES))
    counts = {"read": 0, "refused": 0}
    path = Path(folder) / f"damaged{whole_path.suffix}"
    for case in range(cases):
        data = damage(whole, rng)
        path.write_bytes(data)
        signal.alarm(CASE_S)
        try:
            counts[outcome(path)] += 1
        except BaseException:
            print(f"case {case} of seed {seed}, {path.suffix}: {data.hex()[:4000]}", file=sys.stderr)
            raise
        signal.alarm(0)
    path.write_bytes(whole)
    assert outcome(path) == "read", "the limits refuse what is whole"
    print(counts["read"], counts["refused"])


if __name__ == "__main__":
    memory = "/dev/shm"  # ten thousand files on a disk take minutes
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), folder)
