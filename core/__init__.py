"""What every package shares: the artifact file, fixed-point rules, operation counts, chip limits. numpy only."""
