"""Generated from ``protos/afmd/v1`` by ``clients/generate.py``; do not edit."""
