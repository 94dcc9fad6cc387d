"""Configurations of runs, each method's settings for a data set, and the profiles of a reproduction."""
