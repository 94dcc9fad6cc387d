"""Calls of `qsmi index` and `qsmi search`, and what a refusal must be."""

from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.search.index import storage


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def counts(*arguments):
    """The three numbers that `qsmi index` prints."""
    result = call("index", *arguments)
    assert result.exit_code == 0, result.output
    [line] = [line for line in result.output.splitlines() if line.startswith("added ")]
    return tuple(int(part.split()[1]) for part in line.split(","))


def files(place):
    """All below a folder but locks, with their content."""
    return {
        str(path.relative_to(place)): path.read_bytes() if path.is_file() else None
        for path in place.rglob("*")
        if path.name != storage.LOCK and "results" not in path.parts
    }


def refused(place, *arguments, named=()):
    """The one line with which a command is refused; nothing below `place` is changed by it."""
    before = files(place)
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and result.output.splitlines()[-1] == lines[0], result.output
    assert all(str(name) in lines[0] for name in named), lines[0]
    assert files(place) == before
    return lines[0]
