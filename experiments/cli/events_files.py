"""`spikeplan events info | stats | convert | slice`: read a recording, say what it holds, write it elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.eventdata import info, open_recording
from spikeplan.eventdata.readers import detect_format
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.stats import stats
from spikeplan.eventdata.writers import check_target, write_recording

PATIENCE_S = 2.0
BARS = " ▁▂▃▄▅▆▇█"


@contextmanager
def progress(words: str) -> Iterator[None]:
    """A line on stderr for work that takes longer than PATIENCE_S; on a terminal it moves."""
    console = Console(stderr=True)
    status = console.status(f"{escape(words)} ...")
    timer = threading.Timer(
        PATIENCE_S, status.start if console.is_terminal else lambda: console.print(f"{escape(words)} ...")
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def read(file: str, *, sort: bool = False) -> Recording:
    with progress(f"reading {file}"):
        return open_recording(file, sort=sort)


def info_command(file: str, *, as_json: bool, console: Console) -> None:
    facts = info(read(file), file)
    show(facts, file, as_json=as_json, console=console)


def stats_command(file: str, *, period_us: int, as_json: bool, console: Console) -> None:
    recording = read(file)
    with progress(f"counting {len(recording.events)} events"):
        facts = stats(recording, period_us)
    if not as_json:
        rates = facts["rates"]
        highest = max(rates["events"], default=0)
        line = "".join(BARS[-(-8 * count // highest)] if highest else " " for count in rates["events"])
        facts["rates"] = f"{line}  {rates['period_us']} us a bin, at most {highest} events"
        facts["hottest"] = ", ".join(f"({spot['x']}, {spot['y']}): {spot['events']}" for spot in facts["hottest"][:5])
    show(facts, file, as_json=as_json, console=console)


def convert_command(file: str, out: str, *, sort: bool, as_json: bool, console: Console) -> None:
    target = check_target(out)
    recording = read(file, sort=sort)
    _write(recording, str(target), as_json=as_json, console=console)


def slice_command(file: str, out: str, *, start_us: int, stop_us: int, as_json: bool, console: Console) -> None:
    """All streams of [start_us, stop_us). The clock stays: stamps and origin are those of the whole recording."""
    target = check_target(out)
    recording = read(file)
    part = recording.slice_us(start_us, stop_us)
    refuse_span(start_us, stop_us, recording)
    _write(part, str(target), as_json=as_json, console=console)


def _write(recording: Recording, out: str, *, as_json: bool, console: Console) -> None:
    with progress(f"writing {out}"):
        lost = write_recording(recording, out)
    facts = {
        "file": out,
        "format": detect_format(out),
        "events": len(recording.events),
        "lost": lost,
    }
    if as_json:
        print(json.dumps(facts))
        return
    console.print(f"wrote {len(recording.events)} events to {escape(out)}", soft_wrap=True)
    if lost:
        console.print(f"not kept: {', '.join(lost)} ({facts['format']} holds events alone)", style="yellow")


def show(facts: dict[str, Any], title: str, *, as_json: bool, console: Console) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    table = Table("fact", "value", title=escape(title))
    for key, value in facts.items():
        table.add_row(key, escape(str(value)))
    console.print(table)


def refuse_span(start_us: int, stop_us: int, recording: Recording) -> None:
    """A span that misses the recording is a slip of units far more often than meant."""
    first, last = recording.span_us
    if first == last:
        raise UserError("the recording covers no time: it holds no event, frame or sample; give another")
    if stop_us <= first or start_us >= last:
        raise UserError(
            f"[{start_us}, {stop_us}) us lies outside the recording, [{first}, {last}) us; give microseconds"
        )
