"""What is compared: one file a method, each exporting METHOD (`base.Method`, or a tuple of them).

To add a method, drop a file here, or name your own with `--plugin`. Nothing else matches on a method's name: callers ask
the object for its family, its files, its look, and how it plans.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.evaluation.methods.base import FAMILIES, Method, Site

METHODS: Registry[Method] = Registry("METHOD", "spikeplan.evaluation.methods", Method, "method")

__all__ = ["FAMILIES", "METHODS", "Method", "Site"]
