"""The only room that names torch: nets, corpus, train, export, report. An extra."""
