"""The command line as `python -m qsmi_lib`."""

import os
import sys

# Python puts the current folder first on the path, where a file numpy.py would be imported instead of NumPy. The folder
# stays only if the package itself comes from it. `python -P` does the same, and earlier.
if sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

from qsmi_lib.cli import main

main(prog_name="python -m qsmi_lib")
