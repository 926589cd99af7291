"""The stages and the one function that orders them. Does no I/O."""
