"""Shared by the benchmarks: time, memory, the machine in words, and tables."""

import ctypes
import gc
import math
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
from tabulate import tabulate

from qsmi_lib.training import loop
from qsmi_lib.utils import io, paths

T = TypeVar("T")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux alone has them


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes, the device's queue emptied before and after."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronize()
    start = time.perf_counter()
    call()
    synchronize()
    return time.perf_counter() - start


def peak_megabytes(call: Callable[[], object]) -> float | None:
    """Peak memory of `call` beyond what the process held before, in 10^6 bytes; None if the system does not tell."""
    _give_back()
    try:
        CLEAR.write_text("5", encoding="utf-8")  # the peak starts again from what is held now
        before = _kilobytes("VmRSS")
        call()
        return (_kilobytes("VmHWM") - before) * 1024 / 1e6
    except OSError:
        return None


def held_megabytes(make: Callable[[], T]) -> tuple[T, float]:
    """What `make` returns, and the growth of the process in 10^6 bytes; NaN if the system does not tell."""
    _give_back()
    before = _kilobytes("VmRSS") if STATUS.exists() else math.nan
    made = make()
    _give_back()
    after = _kilobytes("VmRSS") if STATUS.exists() else math.nan
    return made, max(0.0, after - before) * 1024 / 1e6


def _give_back() -> None:
    """Have glibc give freed memory back: after a training glibc holds it, and reusing it would not be measured."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def machine(device: torch.device, *packages: str) -> str:
    """The device, in words, and the versions of `packages`."""
    if device.type == "cuda":
        place = torch.cuda.get_device_name(device)
    else:
        amx = " with AMX" if loop.resolve_precision("auto", device) == "bf16" else ""
        place = f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}{amx}"
    versions = [f"torch {torch.__version__}", *(f"{package} {version(package)}" for package in packages)]
    return f"{place}; {', '.join(versions)}; {torch.get_num_threads()} threads."


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers, which come as text, to the right."""
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def save(name: str, *parts: str) -> str:
    """`parts` as paragraphs, written to results/benchmarks and returned."""
    text = "\n\n".join(parts) + "\n"
    io.write_text(paths.results() / "benchmarks" / f"{name}.md", text)
    return text
