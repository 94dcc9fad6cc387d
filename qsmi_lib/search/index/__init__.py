"""Indexes on disk: the codes of a folder of pictures, or of vectors, with the hasher that made them."""
