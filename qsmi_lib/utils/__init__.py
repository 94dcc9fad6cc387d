"""Helpers that every room may import: paths, files, progress bars, processes, precision, input checks."""
