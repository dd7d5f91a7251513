"""Comparisons with other packages: netx, NeuroBench, sinabs, SANA-FE."""
