"""Data sets of picture files: archives, manifests of labels, pictures decoded when needed, checks."""
