"""Words beside points, placed so that none covers another, a mark or the edge of its axes.

Places are tried from near to far, the points in the order given; a label that fits nowhere is left out, because the hover
text of its mark and the table below the figure have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from spikeplan.evaluation.rows import FrontRow

# Offsets in points and the corner of the words that touches them: (x, y, horizontal, vertical).
PLACES = tuple(
    (x * far, y * far, "left" if x > 0 else "right" if x < 0 else "center", "bottom" if y > 0 else "top")
    for far in (4, 9, 15, 22)
    for x, y in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1.2), (0, -1.2))
)
MARK = 3.0  # points around a mark's middle that stay free
FAR = 9  # points from which on a thin line leads to the mark


@dataclass(frozen=True)
class Label:
    x: float
    y: float
    words: str
    colour: str


def label_at(row: FrontRow, colour: str) -> Label:
    """Method and budget beside a point of a front in synop-equivalents."""
    return Label(row.synop_equivalents, row.success, f"{row.method} {row.budget}", colour)


def write_labels(
    axes: Axes, labels: Sequence[Label], marks: Sequence[tuple[float, float]] = (), *, size: float = 6
) -> None:
    """Write the labels. The limits of the axes must stand; the layout of the figure is computed here.

    Args:
        marks: more points that no label may cover, in data coordinates.
    """
    figure = axes.get_figure()
    assert figure is not None
    canvas: Any = FigureCanvasAgg(figure)  # type: ignore[arg-type]  # a sub-figure has none of ours
    figure.draw_without_rendering()  # type: ignore[union-attr]
    renderer = canvas.get_renderer()
    pixel = figure.dpi / 72
    inside = axes.get_window_extent(renderer)
    points = [*((one.x, one.y) for one in labels), *marks]
    middles = axes.transData.transform(points).tolist() if points else []
    taken = [
        Bbox.from_extents(x - MARK * pixel, y - MARK * pixel, x + MARK * pixel, y + MARK * pixel) for x, y in middles
    ]
    for one in dict.fromkeys(labels):
        for x, y, horizontal, vertical in PLACES:
            line = {"arrowstyle": "-", "color": one.colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2}
            drawn = axes.annotate(
                one.words,
                (one.x, one.y),
                xytext=(x, y),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=size,
                color=one.colour,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.2},
                arrowprops=line if max(abs(x), abs(y)) > FAR else None,
            )
            drawn.set_in_layout(False)
            drawn.update_positions(renderer)
            words = Text.get_window_extent(drawn, renderer)  # the words alone, without the line to the mark
            free = not any(words.overlaps(other) for other in taken)
            if free and inside.contains(words.x0, words.y0) and inside.contains(words.x1, words.y1):
                taken.append(words)
                break
            drawn.remove()
