"""`spikeplan events info | stats | convert | slice`: read a recording, say what it holds, write it elsewhere."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.eventdata import info, open_recording
from spikeplan.eventdata.readers import detect_format
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.stats import stats
from spikeplan.eventdata.writers import check_target, write_recording
from spikeplan.experiments.runner.output import write_report
from spikeplan.experiments.runner.progress import working

UNITS = {"rate_mean": "events/s", "rate_peak": "events/s", "frame_rate": "frames/s", "imu_rate": "samples/s"}
BARS = " ▁▂▃▄▅▆▇█"


def read(file: str, *, sort: bool = False) -> Recording:
    with working(f"reading {file}"):
        return open_recording(file, sort=sort)


def info_command(file: str, *, json: str | None, console: Console) -> None:
    facts = info(read(file), file)
    show(facts, file, json=json, console=console)


def stats_command(file: str, *, period_us: int, json: str | None, console: Console) -> None:
    recording = read(file)
    with working(f"counting {several(len(recording.events), 'event')}"):
        facts = stats(recording, period_us)
    rates = facts["rates"]
    highest = max(rates["events"], default=0)
    line = "".join(BARS[-(-8 * count // highest)] if highest else " " for count in rates["events"])
    hottest = ", ".join(f"({spot['x']}, {spot['y']}): {spot['events']}" for spot in facts["hottest"][:5])
    drawn = {"rates": f"{line}  {rates['period_us']} us a bin, at most {several(highest, 'event')}", "hottest": hottest}
    show(facts, file, json=json, console=console, shown=facts | drawn)


def convert_command(file: str, out: str, *, sort: bool, json: str | None, console: Console) -> None:
    target = check_target(out)
    recording = read(file, sort=sort)
    _write(recording, str(target), json=json, console=console)


def slice_command(file: str, out: str, *, start_us: int, stop_us: int, json: str | None, console: Console) -> None:
    """All streams of [start_us, stop_us). The clock stays: stamps and origin are those of the whole recording."""
    target = check_target(out)
    recording = read(file)
    part = recording.slice_us(start_us, stop_us)
    refuse_span(start_us, stop_us, recording)
    _write(part, str(target), json=json, console=console)


def _write(recording: Recording, out: str, *, json: str | None, console: Console) -> None:
    with working(f"writing {out}"):
        lost = write_recording(recording, out)
    facts = {
        "file": out,
        "format": detect_format(out),
        "events": len(recording.events),
        "lost": lost,
    }
    if json is not None:
        write_report(json, facts)
    console.print(f"wrote {several(len(recording.events), 'event')} to {escape(out)}", soft_wrap=True)
    if lost:
        console.print(f"not kept: {', '.join(lost)} ({facts['format']} holds events alone)", style="yellow")


def show(
    facts: dict[str, Any], title: str, *, json: str | None, console: Console, shown: dict[str, Any] | None = None
) -> None:
    """`shown`: the facts as the table has them, where a line says more than a number."""
    if json is not None:
        write_report(json, facts)
    table = Table("fact", "value", title=escape(title))
    for key, value in (shown or facts).items():
        unit = f" {UNITS[key]}" if key in UNITS and value is not None else ""
        table.add_row(key, escape(readable(value) + unit))
    console.print(table)


def readable(value: Any) -> str:
    """A fact as a reader wants it: six digits, no quotes and no braces."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
        case dict():
            return ", ".join(f"{key} {readable(each)}" for key, each in value.items()) or "-"
        case list() | tuple():
            return ", ".join(map(readable, value)) or "-"
    return str(value)


def refuse_span(start_us: int, stop_us: int, recording: Recording) -> None:
    """A span that misses the recording is a slip of units far more often than meant."""
    first, last = recording.span_us
    if first == last:
        raise UserError("the recording covers no time: it holds no event, frame or sample; give another")
    if stop_us <= first or start_us >= last:
        raise UserError(
            f"[{start_us}, {stop_us}) us lies outside the recording, [{first}, {last}) us; give microseconds"
        )
