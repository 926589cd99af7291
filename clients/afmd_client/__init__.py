"""The afmd client: watch, list and fetch scans from a daemon. Needs grpcio, protobuf and numpy only."""
