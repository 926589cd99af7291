"""Time, threads, processes: bus, workers, daemon, drain."""
