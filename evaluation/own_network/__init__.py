"""A user's own network on a chip: what it sends, where it lies, how long a step takes, what it costs beside dense machines.

The network is any that `spikeplan.placement.graph` describes: a sigma-delta artifact, a netx or a NIR file. Nothing of our tasks
and planners is in here.
"""
