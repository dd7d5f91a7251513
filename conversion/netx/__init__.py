"""Networks in lava-dl's exchange format (netx), in and out."""

from spikeplan.conversion.netx.fields import loihi_weights
from spikeplan.conversion.netx.read import NetxReport, read_netx
from spikeplan.conversion.netx.write import write_netx

__all__ = ["NetxReport", "loihi_weights", "read_netx", "write_netx"]
