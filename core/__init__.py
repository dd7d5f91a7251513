"""What every room shares: the artifact file, fixed-point rules, the operation operation counts, chip limits. numpy only."""
