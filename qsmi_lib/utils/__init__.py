"""Paths, files, progress, processes, precision, checks: what every room may import, and what imports no room."""
