"""Running shards on all cores, result directories, resuming."""
