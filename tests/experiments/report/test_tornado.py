"""The tornado of `energy systems`: a function of its report, the widest bar first."""

from __future__ import annotations

import re
from typing import Any

import pytest

from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.tornado import MOST_BARS, bars, tornado_figure


def swing(name: str, low: float, high: float, *moves: str) -> dict[str, Any]:
    return {
        "figure": name,
        "moves": list(moves or [name]),
        "at_low": low,
        "at_high": high,
        "turns": (low < 1) != (high < 1),
    }


def row(rate: float, ratio: float, *swings: dict[str, Any], spiking: str = "chip") -> dict[str, Any]:
    return {"rate_hz": rate, "spiking": spiking, "dense": "board", "ratio": ratio, "sensitivity": list(swings)}


def decided(rate: float, right: float, spiking: str = "chip") -> dict[str, Any]:
    return {"rate_hz": rate, "spiking": spiking, "dense": "board", "right_now": right, "worth": []}


SLOW = row(1.0, 2.0, swing("a.narrow", 1.9, 2.1), swing("wide", 0.5, 4.0, "a.up", "-a.down"))
FAST = row(
    10.0, 3.0, swing("a.narrow", 2.9, 3.1), swing("a.middle", 4.0, 2.0), swing("wide", 2.8, 3.2, "a.up", "-a.down")
)
REPORT = {"tasks": {"toy": {"sensitivity": [SLOW, FAST], "decide": [decided(1.0, 1.0)]}}}


def test_the_widest_stands_first_over_all_rates() -> None:
    assert bars([SLOW, FAST]) == ["wide", "a.middle", "a.narrow"]
    many = row(1.0, 2.0, *(swing(f"f{n:02d}", 2.0, 2.1 + n) for n in range(20)), swing("unseen", 2.0, 2.001))
    assert bars([many]) == [f"f{n:02d}" for n in range(19, 19 - MOST_BARS, -1)]


def test_panels_have_the_bars_at_both_ends_of_each_quantity() -> None:
    with style.paper():
        figure = tornado_figure(REPORT)
    assert figure is not None
    slow, fast = figure.axes
    labels = [text.get_text() for text in slow.get_yticklabels()]
    assert labels == ["wide\n(up, -down)", "a.middle", "a.narrow"]
    spans = {place: sorted((bar.get_x(), bar.get_x() + bar.get_width())) for place, bar in drawn(slow)}
    assert spans[0, "low"] == pytest.approx([0.5, 2.0]) and spans[0, "high"] == pytest.approx([2.0, 4.0])
    assert spans[2, "low"] == pytest.approx([1.9, 2.0]) and (1, "low") not in spans
    assert dict(drawn(fast))[1, "high"].get_width() == pytest.approx(-1.0), "more of it lowers the ratio"
    assert slow.get_ylim()[0] > slow.get_ylim()[1], "the first on top"
    frames = {place: bar.get_linewidth() for place, bar in drawn(slow)}
    assert frames[0, "low"] > 0 == frames[2, "low"], "a frame where the order turns"


def drawn(axes: Any) -> list[tuple[tuple[int, str], Any]]:
    """Bars by place and end; the pair of a quantity is drawn low, then high."""
    bars = [(round(bar.get_y() + bar.get_height() / 2), bar) for bar in axes.patches]
    return [((place, "low" if number % 2 == 0 else "high"), bar) for number, (place, bar) in enumerate(bars)]


def test_the_pair_that_is_least_decided_has_a_row_of_its_own() -> None:
    other = row(1.0, 0.9, swing("b.x", 0.5, 1.5), spiking="other")
    part = {"sensitivity": [SLOW, FAST, other], "decide": [decided(1.0, 1.0), decided(1.0, 0.6, "other")]}
    with style.paper():
        figure = tornado_figure({"tasks": {"toy": part}})
    assert figure is not None
    seen = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_ylabel() for axes in seen] == ["toy", "", "toy,\nleast decided"]
    assert [axes.get_title(loc="left").split("\n")[0] for axes in seen] == ["1 Hz: chip", "10 Hz: chip", "1 Hz: other"]


def test_words_travel_with_the_marks_and_nothing_is_drawn_of_nothing() -> None:
    text = style.svg(tornado_figure, REPORT)
    assert text is not None and re.search(r"<title>wide low: 0.5 times the dense system, the order turns</title>", text)
    assert tornado_figure({"tasks": {"toy": {"sensitivity": [], "decide": []}}}) is None
