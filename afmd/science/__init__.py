"""Pure functions on arrays: levelling, masks, filling, smoothing, the tip, quality. No input, no output, no clock."""
