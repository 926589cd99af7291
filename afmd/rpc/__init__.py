"""The only door to gRPC: conversions, services, server."""
