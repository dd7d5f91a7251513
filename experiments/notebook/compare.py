"""`spikeplan.compare`: the comparison of `evaluation.profiles` as a table that can also draw itself.

The table is made here, above evaluation, because evaluation imports nothing that draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spikeplan.energy.catalogue import load
from spikeplan.energy.charge import Setup
from spikeplan.energy.measured import read_measured
from spikeplan.energy.measured_prices import with_measured
from spikeplan.energy.systems import pick_systems
from spikeplan.evaluation.profiles import Comparison, Loop, Profile
from spikeplan.evaluation.profiles import compare as priced
from spikeplan.evaluation.profiles.counted import Counted
from spikeplan.evaluation.profiles.loop import ONCE
from spikeplan.experiments.notebook.picture import Picture, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ComparisonTable(Comparison):
    """A Comparison that draws itself."""

    def plot(self, path: str | Path | None = None) -> Picture:
        """Energy of each network on each machine, low to high; written to `path` (.svg, .png or .pdf) if there is one.

        >>> compare({"mine": profile(net, inputs)}).plot("compare.svg")
        """
        drawn = picture(path, comparison_figure, self)
        assert drawn is not None, "a comparison has at least one row"
        return drawn


def compare(
    profiles: Mapping[str, Profile | Counted],
    machines: Sequence[str] | None = None,
    *,
    systems: Sequence[str] | None = None,
    rate_hz: float | Sequence[float] | None = None,
    loop: Loop = ONCE,
    devices: str | Path | None = None,
    own: str | Path | None = None,
    measured: str | Path | None = None,
    setup: Setup | None = None,
) -> ComparisonTable:
    """Energy and time of one action of each network on each machine that can run it, and watts of whole systems.

    Args:
        profiles: name -> what `profile` counted.
        machines: names of the catalogue (`spikeplan list machines`); all of them where not given.
        systems: names of shipped systems; all of them where only a rate is given.
        rate_hz: actions a second, one or several; without it no system is priced.
        loop: how often an action calls the network.
        devices: a TOML file with machines or figures of your own (docs/energy.md).
        own: a TOML file with a system of your own; it is called by the file's name.
        measured: a file of `spikeplan energy measure`.
        setup: chips, cores, share of the peak, this CPU's rates (`spikeplan.energy.Setup`).

    Raises UserError for an unknown machine or system, a file that is missing or damaged, and where nothing can be priced.

    >>> print(compare({"mine": profile(net, inputs)}, ["orin_nano"], rate_hz=10, loop=Loop(candidates=64, horizon=12)))
    """
    rows = () if measured is None else read_measured(Path(measured))
    table = priced(
        profiles,
        machines,
        systems=systems if own is None else pick_systems(systems, own=Path(own)),
        rate_hz=rate_hz,
        loop=loop,
        catalogue=with_measured(load(own=devices), rows),
        setup=setup,
        measured=rows,
    )
    return ComparisonTable(table.rows, table.refused, table.systems)


def comparison_figure(table: Comparison) -> Figure:
    """A line from low to high with a mark at nominal; a row each machine and schedule, a colour each network."""
    from spikeplan.experiments.report import style
    from spikeplan.experiments.report.front import band_words

    names = list(dict.fromkeys(row["name"] for row in table.rows))
    places = list(dict.fromkeys((row["machine"], row["schedule"]) for row in table.rows))
    figure, [[axes]] = style.blank(height=1.0 + (0.16 + 0.12 * len(names)) * len(places), width=5.6)
    step = 0.7 / len(names)
    for i, name in enumerate(names):
        colour, marker = style.SPARE[i % len(style.SPARE)]
        axes.plot([], [], marker, color=colour, label=name)
        for row in (row for row in table.rows if row["name"] == name):
            at = places.index((row["machine"], row["schedule"])) + step * (i - (len(names) - 1) / 2)
            words = (
                f"{name} on {row['machine']}, {row['schedule']}: {band_words(row['low'], row['joules'], row['high'])}"
            )
            style.say(axes.plot((row["low"], row["high"]), (at, at), color=colour, linewidth=2.2, alpha=0.4), words)
            style.say(axes.plot(row["joules"], at, marker, color=colour), words)
    style.log_cost(axes, "energy per action, scope system (estimate)", "J")
    axes.set_yticks(range(len(places)), [machine if s == "batched" else f"{machine}, {s}" for machine, s in places])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="x", color="#EEEEEE", linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=min(4, len(names)))
    return figure
