"""NIR files in and out."""

from spikeplan.conversion.nir.read import DT_S, read_nir
from spikeplan.conversion.nir.write import write_nir

__all__ = ["DT_S", "read_nir", "write_nir"]
