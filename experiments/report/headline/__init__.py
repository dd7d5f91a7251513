"""What a reader learns in ten seconds: the findings, their sentences and one figure a task."""
