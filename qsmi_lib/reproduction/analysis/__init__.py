"""What the records say beyond the tables: claims, significance, causes, ties, maps."""
