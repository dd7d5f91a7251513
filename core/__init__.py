"""What every room shares: the artifact file, fixed-point rules, the operation ledger, chip limits. numpy only."""
