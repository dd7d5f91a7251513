"""What is compared, on which episodes, at equal success: methods, shards, intervals, verdicts."""
