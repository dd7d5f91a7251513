"""Where a network lies on a chip and how long a step takes there: groups of neurons, timing, hops."""
