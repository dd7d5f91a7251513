"""`spikeplan events info`."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eventdata import info, open_recording


def info_command(file: str, *, as_json: bool, console: Console) -> None:
    facts = info(open_recording(file), file)
    if as_json:
        print(json.dumps(facts))
        return
    table = Table("fact", "value", title=escape(file))
    for key, value in facts.items():
        table.add_row(key, str(value))
    console.print(table)
