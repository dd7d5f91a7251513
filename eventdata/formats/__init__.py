"""Event file formats, one file each.

To add a format, drop a file here that exports FORMAT (`base.Format`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.eventdata.formats.base import Format

FORMATS: Registry[Format] = Registry("FORMAT", "spikeplan.eventdata.formats", Format, "format")

__all__ = ["FORMATS", "Format"]
