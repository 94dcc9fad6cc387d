"""Precision of a network: bf16 if the device supports it in hardware, else float32."""

from contextlib import AbstractContextManager
from pathlib import Path

import torch

from qsmi_lib.utils.validation import known


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """The context in which a network computes in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def resolve_precision(precision: str, device: torch.device) -> str:
    """`precision`; "auto" is bf16 if the device has it in hardware (CUDA since Ampere, AMX), else float32."""
    known("precision", dict.fromkeys(("auto", "float32", "bf16")), precision)
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    cpu = Path("/proc/cpuinfo")
    return "bf16" if cpu.exists() and "amx_bf16" in cpu.read_text(encoding="utf-8") else "float32"
