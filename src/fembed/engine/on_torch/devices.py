"""Where PyTorch computes, and how exactly: the device, its numbers, and what memory there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fembed.errors import InputError, shown

#: Bytes that the intermediate results of a pass may take: of "cuda" this share of what is free, on
#: others so many. More would leave a processor's caches; less, a graphics processor without work.
WORK_SHARE, WORK_BYTES = 0.25, {"cpu": 32 * 2**20, "mps": 512 * 2**20}
#: A matrix is laid on the device as a whole if it takes at most this share of what is free.
MATRIX_SHARE = 0.5


@dataclass(frozen=True)
class Place:
    """A device and the numbers that are used there.

    Attributes
    ----------
    device : torch.device
    dtype : torch.dtype
        Of what is computed pair by pair: float32, or float64 where that is tested.
    wide : torch.dtype
        Of the sums over many of these: float64, or float32 on "mps", which has no other.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def wide(self) -> torch.dtype:
        return torch.float32 if self.device.type == "mps" else torch.float64

    def describe(self) -> str:
        """Such as "PyTorch 2.13.0 on cuda (NVIDIA H200), float32"."""
        name = ""
        if self.device.type == "cuda":
            name = f" ({torch.cuda.get_device_name(self.device)})"
        kind = str(self.dtype).removeprefix("torch.")
        return f"PyTorch {torch.__version__} on {self.device}{name}, {kind}"

    def numbers(self, array: Any) -> Tensor:
        """A NumPy array on the device, in ``dtype``; shared memory if it is there already."""
        writable = np.require(array, requirements=("C", "W"))  # PyTorch has no read-only tensors
        return torch.from_numpy(writable).to(self.device, self.dtype)

    def exact(self, tensor: Tensor) -> Tensor:
        """In float64, for small systems of equations: there where that can be computed."""
        if self.device.type == "mps":
            tensor = tensor.cpu()
        return tensor.to(torch.float64)

    def work_bytes(self) -> int:
        """What the intermediate results of a pass may take."""
        if self.device.type == "cuda":
            return int(WORK_SHARE * self._free_bytes())
        return WORK_BYTES[self.device.type]

    def holds(self, n_bytes: int) -> bool:
        """Whether a matrix of so many bytes can lie on the device as a whole."""
        if self.device.type == "cuda":
            return n_bytes <= MATRIX_SHARE * self._free_bytes()
        return True  # "mps" shares the memory of the processor

    def _free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        # What PyTorch has taken and does not use.
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(free + kept)


def find(name: str) -> torch.device:
    """The device of that name; ``auto`` is a graphics processor where there is one.

    Raises
    ------
    InputError
        If PyTorch knows no such device, or finds none here.
    """
    name = str(name)
    if name == "auto":
        return torch.device(next((it for it in ("cuda", "mps") if _number_of(it)), "cpu"))
    parts = re.fullmatch(r"(cpu|cuda|mps)|cuda:(\d{1,4})", name)
    if parts is None:
        raise InputError(
            f"The device {shown(name)} is not known; choose auto, cpu, cuda, cuda:N or mps."
        )
    kind, number = parts[1] or "cuda", int(parts[2] or 0)
    there = _number_of(kind)
    if not there:
        raise InputError(
            f"PyTorch {torch.__version__} finds no device '{kind}' here; choose the device 'cpu' "
            "or 'auto', or install a PyTorch that is built for it."
        )
    if number >= there:
        raise InputError(
            f"PyTorch finds {there} device(s) 'cuda' here, so there is no '{name}'; their numbers "
            "begin with 0."
        )
    return torch.device(name)


def _number_of(kind: str) -> int:
    if kind == "cuda":
        return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


@contextmanager
def computing(place: Place, n_threads: int) -> Iterator[None]:
    """What a call of the engine asks of PyTorch, which is as it was afterwards.

    Products are of whole float32 numbers (no TF32, no bfloat16), whatever the program around has
    allowed.
    """
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("highest")
    if threads != n_threads:
        torch.set_num_threads(n_threads)
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"The device {place.device} has no memory left: {error}") from error
    finally:
        torch.set_float32_matmul_precision(precision)
        if threads != n_threads:
            torch.set_num_threads(threads)
