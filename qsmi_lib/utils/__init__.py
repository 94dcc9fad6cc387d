"""Helpers that all other parts may import: paths, files, progress bars, processes, precision, input checks."""
