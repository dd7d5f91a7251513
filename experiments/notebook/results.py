"""`spikeplan.report(folder)`: a results directory as a notebook shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.frame import frame
from spikeplan.evaluation.results import Results, load
from spikeplan.evaluation.rows import KINDS
from spikeplan.experiments.notebook.picture import Picture, picture


@dataclass(frozen=True, repr=False)
class Report:
    """A finished run: `_repr_html_` is the headline of its report, `to_pandas` its rows, `plot` its Pareto fronts."""

    folder: Path
    results: Results

    @property
    def tasks(self) -> list[str]:
        return self.results.tasks

    @property
    def kinds(self) -> list[str]:
        """Kinds of rows that `to_pandas` takes."""
        return sorted({row.kind for row in self.results.rows})

    def to_pandas(self, kind: str | None = None) -> Any:
        """A pandas.DataFrame of the rows of one kind, all tasks; of `kinds` the front where it is there, else the methods, else
        the first. Raises UserError for a kind that the run does not hold, and where pandas is missing."""
        if kind is None:
            kind = next((each for each in ("front", "method", *self.kinds) if each in self.kinds), "front")
        if kind not in self.kinds:
            raise UserError(f"{self.folder}: holds no rows of kind {kind!r}; it has {', '.join(self.kinds) or 'none'}")
        return frame([row.to_json() for task in self.tasks for row in self.results.of(KINDS[kind], task)])

    def plot(self, path: str | Path | None = None) -> Picture:
        """The Pareto fronts, a panel a task; written to `path` (.svg, .png or .pdf) if there is one.

        Raises UserError where no task has a point on each side.
        """
        from spikeplan.experiments.report.headline.figure import headline_figure

        drawn = picture(path, headline_figure, self.results, *self.tasks)
        if drawn is None:
            raise UserError(f"{self.folder}: no task has both a dense and a spiking point to draw")
        return drawn

    def __repr__(self) -> str:
        return f"Report({str(self.folder)!r}: tasks {', '.join(self.tasks) or 'none'}; rows {', '.join(self.kinds) or 'none'})"

    def __str__(self) -> str:
        """What a study printed at its end; of a run that compares nothing, a row each method."""
        from rich.console import Console

        from spikeplan.experiments.report.terminal.run import compares, print_methods, print_table

        console = Console(width=110, color_system=None)
        with console.capture() as printed:
            (print_table if compares(self.results) else print_methods)(self.results, console)
        return printed.get()

    def _repr_html_(self) -> str:
        from spikeplan.experiments.report.headline.figure import headline_figure
        from spikeplan.experiments.report.headline.section import sentences
        from spikeplan.experiments.report.markup import Markup, join, not_run, tag
        from spikeplan.experiments.report.sections_results import outcomes

        parts: list[object] = []
        for task in self.tasks:
            drawn = picture(None, headline_figure, self.results, task)
            figure = Markup("" if drawn is None else drawn._repr_html_())
            body = join([figure, sentences(self.results, task), outcomes(self.results, task)])
            parts += [tag("h4", task), body or not_run()]
        return tag("div", *parts) if parts else tag("div", not_run())


def report(folder: str | Path) -> Report:
    """Read a results directory, as `spikeplan demo`, `results` and `plan` write it.

    Raises UserError where it holds no summary, and on damaged files.

    >>> report("results/demo").to_pandas("front")[["method", "budget", "success"]]
    """
    return Report(Path(folder), load(Path(folder)))
