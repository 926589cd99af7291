"""How the daemon tells people and monitors what it does: JSON log lines and Prometheus metrics.

Rule: science and the pipeline never come here; they return what is to be told.
"""
