"""Pictures of a placement: the cores (one square a core, tile by tile, chip by chip; colour by layer, ink by memory used),
and what replicas buy (time and energy against their number)."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from spikeplan.experiments.report import style
from spikeplan.placement.place import CORES_PER_TILE, TILES_PER_ROW, Placement


def placement_figure(found: Placement, *, most_chips: int = 4) -> Figure:
    """The first chips of a placement; the title says how many there are."""
    shown = min(found.chips, most_chips)
    rows = -(-found.chip.cores // (CORES_PER_TILE * TILES_PER_ROW))
    figure, grid = style.blank(1, shown, height=0.9 + 0.42 * 2 * rows, width=1.2 + 3.4 * shown)
    names = {group.name: "parts of the loop" if group.shares else group.name for group in found.groups}
    colours = {name: style.SPARE[i % len(style.SPARE)][0] for i, name in enumerate(dict.fromkeys(names.values()))}
    bytes_on: dict[tuple[int, int], int] = {}
    for use in found.uses:
        place = (use.chip, use.core)
        bytes_on[place] = bytes_on.get(place, 0) + use.weight_bytes + use.state_bytes
    drawn = {(use.chip, use.core): names[use.layer] for use in found.uses}
    for chip, axes in enumerate(grid[0]):
        for core in range(found.chip.cores):
            axes.add_patch(Rectangle(_corner(core), 0.9, 0.9, facecolor="white", edgecolor=style.LIGHT, linewidth=0.4))
        for (on, core), name in drawn.items():
            if on == chip:
                full = min(1.0, bytes_on[on, core] / found.chip.core_memory_bytes)
                square = Rectangle(_corner(core), 0.9, 0.9, facecolor=colours[name], alpha=0.25 + 0.75 * full)
                square.set_gid(f"core-{on}-{core}")
                axes.add_patch(square)
        axes.set_xlim(-0.3, 2.2 * TILES_PER_ROW)
        axes.set_ylim(2.2 * rows, -0.3)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(f"chip {chip + 1} of {found.chips}", fontsize=8)
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _corner(core: int) -> tuple[float, float]:
    tile, place = divmod(core, CORES_PER_TILE)
    row, column = divmod(tile, TILES_PER_ROW)
    return 2.2 * column + place % 2, 2.2 * row + place // 2


def sweep_figure(facts: dict[str, Any]) -> Figure | None:
    """Time and energy of an action against the number of replicas, with the dense devices' energy; `facts` as JSON has them."""
    rows = [row for row in facts["sweep"] if row["spread"] == facts["spread"]]
    if not rows:
        return None
    figure, grid = style.blank(1, 2, height=2.8)
    time, joules = grid[0]
    replicas = [row["replicas"] for row in rows]
    for axes, key, label in ((time, "action_s", "time an action, ms"), (joules, "energy", "energy an action, mJ")):
        for schedule, (colour, marker) in zip(("sequential", "interleaved"), style.SPARE, strict=False):
            bands = [row[schedule][key] for row in rows]
            axes.plot(replicas, [b["nominal"] * 1e3 for b in bands], color=colour, marker=marker, label=schedule)
            low, high = ([b[bound] * 1e3 for b in bands] for bound in ("low", "high"))
            axes.fill_between(replicas, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("replicas (chips)")
        axes.set_xticks(replicas, [f"{row['replicas']} ({row['chips']})" for row in rows])
        style.plain_ticks(axes.yaxis)
        axes.set_ylabel(label)
    for name, limit in facts["budgets_s"].items():
        if limit < 1:
            time.axhline(limit * 1e3, color=style.GREY, linestyle="--", linewidth=0.8, label=name)
    for (device, e), line in zip(facts[rows[0]["extent"]]["dense"].items(), ("-", "--", ":"), strict=True):
        joules.axhline(e["nominal"] * 1e3, color=style.BLACK, linestyle=line, linewidth=0.8, label=device)
    for axes in (time, joules):
        axes.legend(loc="best")
    return figure
