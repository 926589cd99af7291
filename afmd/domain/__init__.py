"""The nouns of the field, frozen, and the small protocols at the seams. Names no disk, clock, log, socket or thread."""
