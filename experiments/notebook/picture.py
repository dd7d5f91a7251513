"""A drawn figure that a notebook shows and a file keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True)
class Picture:
    """An SVG figure whose marks say their values on hover."""

    svg: str

    def __repr__(self) -> str:
        return f"Picture({len(self.svg):,} characters of SVG)"

    def _repr_html_(self) -> str:
        """Inline, not as an image: a browser shows no hover text of an image's parts."""
        from spikeplan.experiments.report import style

        return style.inline(self.svg, "f" + hashlib.sha256(self.svg.encode()).hexdigest()[:8])


def picture(path: str | Path | None, draw: Callable[..., Figure | None], *args: Any) -> Picture | None:
    """Draw, and write the figure to `path` if there is one, in the format of its suffix.

    Returns None where there is nothing to draw. Raises UserError for another format and where the file cannot be written.
    """
    from spikeplan.experiments.report import style

    kind = "svg" if path is None else Path(path).suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UserError(f"{path}: a figure is written as .svg, .png or .pdf; end the name in one of them")
    svg = style.svg(draw, *args)
    if svg is None:
        return None
    if path is not None:
        content = svg.encode() if kind == "svg" else style.rendered(kind, draw, *args)
        assert content is not None, "the same arguments drew an SVG"
        try:
            write_whole(Path(path), lambda part: part.write_bytes(content))
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    return Picture(svg)
