"""`write_report(out)`: results directory -> one self-contained page and its figures as SVG files.

The page needs nothing from a network: figures are inline SVG, pictures data URIs, the style sheet is in the head.
Files are written beside their place and renamed, so a reader never sees half a report.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.evaluation.results import Results, load
from spikeplan.experiments.report import sections_cost, sections_network, sections_results
from spikeplan.experiments.report.headline.section import headline
from spikeplan.experiments.report.headline.systems import systems
from spikeplan.experiments.report.page import Gallery, Section, page

SECTIONS: tuple[Callable[[Results, Gallery], Section], ...] = (
    systems,
    headline,
    sections_results.verdict,
    sections_results.targets,
    sections_results.success,
    sections_results.front,
    sections_results.admission,
    sections_network.density,
    sections_network.heat,
    sections_network.layers,
    sections_network.agreement,
    sections_network.thresholds,
    sections_network.gates,
    sections_network.lava,
    sections_cost.energies,
    sections_cost.films,
    sections_cost.events,
    sections_cost.caveats,
    sections_cost.configuration,
    sections_cost.citation,
)
LEAD = (
    "A JEPA world model, planned with densely and with spikes, and what each costs. "
    "Counts are simulated, energy is estimated, success is measured in simulated worlds."
)


def write_report(out: Path) -> Path:
    """Write `report.html` and `figures/*.svg` into a results directory and return the path of the page.

    Raises UserError when the directory holds no results or cannot be written."""
    results, gallery = load(out), Gallery()
    sections = [make(results, gallery) for make in SECTIONS]
    target = out / "report.html"
    try:
        folder = out / "figures"
        folder.mkdir(exist_ok=True)
        for name, drawn in gallery.svgs.items():
            _write(folder / f"{name}.svg", drawn)
        for name, rows in gallery.data.items():
            _write(folder / f"{name}.csv", rows)
        made = {f"{name}.svg" for name in gallery.svgs} | {f"{name}.csv" for name in gallery.data}
        for stale in (path for path in folder.iterdir() if path.suffix in (".svg", ".csv") and path.name not in made):
            stale.unlink()  # a figure of an earlier run beside this run's page would mislead
        _write(target, page("spikeplan: dense and spiking planning", LEAD, sections))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another directory") from error
    return target


def _write(path: Path, content: str) -> None:
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
