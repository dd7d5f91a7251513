"""How figures look: one palette, one text size, SVG with text as text.

Colours are Okabe and Ito's, which stay apart under all common colour deficiencies; markers differ too, so that no
figure needs colour. Figures are matplotlib `Figure` objects without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from spikeplan.evaluation.methods import METHODS

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7A7A7A"
LIGHT = "#BBBBBB"

REFERENCE = {
    "zero": (GREY, "o"),
    "previous_step": (BLUE, "s"),
    "previous_candidate": (SKY, "^"),
    "mean_candidate": (GREEN, "D"),
    "previous_iteration": (VERMILLION, "v"),
}
SPARE = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"), (SKY, "P"), (BLACK, "X"))

RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spikeplan",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "axes.unicode_minus": True,
    "patch.linewidth": 0.5,
}
MARK = "mark: "  # begins an id that is what its group says
SPOKEN = r'<g class="mark"><title>\1</title>'
STAMPS = {
    "svg": ("Date", "Creator", "Format", "Type"),
    "png": ("Software",),
    "pdf": ("Creator", "Producer", "CreationDate"),
}
WIDTH = 7.0  # inches, the text width of a paper


def look(table: dict[str, tuple[str, str]], name: object) -> tuple[str, str]:
    """Colour and marker of a name; one that we do not know gets a look that depends on its letters only."""
    return table.get(str(name)) or SPARE[sum(map(ord, str(name))) % len(SPARE)]


def method_look(name: object) -> tuple[str, str]:
    """Colour and marker of a method, as its object says; a reading of it (`NAME/dense`, `NAME/skip`) keeps the marker."""
    base, _, how = str(name).partition("/")
    if base not in METHODS:
        return look({"greedy": (GREY, "X")}, name)
    method = METHODS[base]
    return {"dense": BLACK, "skip": SKY}.get(how, method.colour), method.marker


@contextmanager
def paper() -> Iterator[None]:
    """Matplotlib's own defaults and ours on top: a reader's matplotlibrc changes nothing."""
    settings: Any = {key: matplotlib.rcParamsDefault[key] for key in matplotlib.rcParamsDefault if "backend" not in key}
    settings.update(RC)
    with matplotlib.rc_context(settings):
        yield


def svg(draw: Callable[..., Figure | None], *args: Any) -> str | None:
    """Run a drawing function in the paper style; its SVG text, or None where there was nothing to draw."""
    drawn = rendered("svg", draw, *args)
    return None if drawn is None else re.sub(f'<g id="{MARK}([^"]*)">', SPOKEN, drawn.decode())


def rendered(kind: str, draw: Callable[..., Figure | None], *args: Any) -> bytes | None:
    """The same in any format that matplotlib writes."""
    with paper():
        figure = draw(*args)
        if figure is None:
            return None
        target = io.BytesIO()
        # Without dates and RDF the file depends on the data alone, and holds no address that a browser might follow.
        dpi = 200 if kind == "png" else "figure"
        figure.savefig(target, format=kind, metadata=dict.fromkeys(STAMPS[kind]), dpi=dpi)
    return target.getvalue()


def say(artists: Artist | Iterable[Artist], words: str) -> None:
    """What a browser says when the pointer rests on these marks. The words travel as the id of the SVG group."""
    for artist in (artists,) if isinstance(artists, Artist) else artists:
        artist.set_gid(MARK + words)


def inline(text: str, prefix: str) -> str:
    """The <svg> element alone, its ids made unique in a page that holds many figures."""
    body = text[text.index("<svg") :].strip()
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = body.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'xlink:href="#{prefix}-')
    return body


def blank(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = 2.6, **kwargs: Any
) -> tuple[Figure, Any]:
    """A figure and its axes, as `pyplot.subplots` gives them; axes always two-dimensional."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def log_cost(axes: Axes, label: str, unit: str = "") -> None:
    """A logarithmic x axis with SI prefixes: 10 M, 3 mJ."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high / low < 20 else (1, 3) if high / low < 200 else (1,)
    axes.xaxis.set_major_locator(LogLocator(10, subs=steps, numticks=12))
    axes.xaxis.set_major_formatter(EngFormatter(unit=unit, places=None, sep=" "))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def plain_ticks(axis: Axis) -> None:
    """0.01 instead of powers in mathematical type, which SVG text cannot carry."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def success_axis(axes: Axes, *, horizontal: bool = False) -> None:
    if horizontal:
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("success rate")
    else:
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("success rate")
