"""The network graph that every package runs or writes, its contexts and its traces."""
