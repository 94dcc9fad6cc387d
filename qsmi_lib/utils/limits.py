"""Limits of numbers that users pass, each far beyond any sensible use. An error names the limit and the value.

A number beyond them would fill the memory, run for years, or overflow; all of these look like a fault of the library.
"""

BITS = 4096  # of a code that is learned: the widest layer here has 2,048 units
EPOCHS = 100_000  # the paper has 50
ITEMS_COMPARED = 1 << 16  # a batch and its memory: a float32 matrix of their pairs takes 17 GB
COUNT = 1024  # bins, samples and clusters: MIHash holds a number for each pair of a batch and each bin
SEED = (1 << 32) - 1  # the largest one of scikit-learn's k-means
LEARNING_RATE = 1.0  # Adam moves every weight by about this much in each step
# Embeddings, weights and widths of the losses. Their squares, and sums of these over all pairs, are finite in float32.
SMALLEST, LARGEST = 1e-9, 1e9
# n_classes ** 2 * bits of hash centers: the bits that are compared when their distances are computed, some ten seconds
CENTERS = 1 << 37
CNNH_STEPS = 2e11  # items * bits ** 2 * sweeps of CNNH's first stage, some minutes: a million items of 128 bits
