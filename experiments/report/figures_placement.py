"""A picture of the cores: one square a core, tile by tile, chip by chip; colour by layer, ink by memory used."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from experiments.report import style
from lava_procs.placement import CORES_PER_TILE, TILES_PER_ROW, Placement


def placement_figure(found: Placement, *, most_chips: int = 4) -> Figure:
    """The first chips of a placement; the title says how many there are."""
    shown = min(found.chips, most_chips)
    rows = -(-found.chip.cores // (CORES_PER_TILE * TILES_PER_ROW))
    figure, grid = style.blank(1, shown, height=0.9 + 0.42 * 2 * rows, width=1.2 + 3.4 * shown)
    names = list(dict.fromkeys(use.layer for use in found.cores))
    colours = {name: style.SPARE[i % len(style.SPARE)][0] for i, name in enumerate(names)}
    for chip, axes in enumerate(grid[0]):
        for core in range(found.chip.cores):
            axes.add_patch(Rectangle(_corner(core), 0.9, 0.9, facecolor="white", edgecolor=style.LIGHT, linewidth=0.4))
        for use in found.cores:
            if use.chip == chip:
                full = (use.weight_bytes + use.state_bytes) / found.chip.core_memory_bytes
                axes.add_patch(
                    Rectangle(
                        _corner(use.core), 0.9, 0.9, facecolor=colours[use.layer], alpha=0.25 + 0.75 * min(1.0, full)
                    )
                )
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
