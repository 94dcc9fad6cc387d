"""Figures as functions of data: each takes what it draws and returns a matplotlib `Figure`; none computes a result."""

from pathlib import Path

import matplotlib.pyplot as plt

from qsmi_lib.reproduction.plotting import notebook

plt.style.use(Path(__file__).with_name("qsmi.mplstyle"))
notebook.register()
