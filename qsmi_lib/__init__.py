"""Executable companion to "Deep Supervised Hashing using Quadratic Spherical Mutual Information" (Passalis & Tefas).

The way of the data, each arrow one module::

    datasets.load -> factory.build -> training.train -> training.encode -> evaluation.evaluate -> records.save
        -> tables, plotting
"""

__version__ = "0.1.0"
