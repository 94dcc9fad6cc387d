"""The command line as `python -m qsmi_lib`."""

from qsmi_lib.cli import main

main(prog_name="python -m qsmi_lib")
