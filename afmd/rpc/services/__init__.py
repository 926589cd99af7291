"""The services of ``afmd.v1``, one module each. Rule: a handler reads as its promise in the ``.proto``."""
