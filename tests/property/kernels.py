"""What computes in a test of the engines: each kernel of the native one, and PyTorch.

PyTorch works on the processor here, in float32 and, where its formulas alone are to be tested, in
float64. Without PyTorch, only the native engine is tested.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from fembed.engine import ISAS
from fembed.engine.choice import working_with

HAS_TORCH = importlib.util.find_spec("torch") is not None


@dataclass(frozen=True)
class Kernel:
    """An engine, and which of its kernels.

    Attributes
    ----------
    name : str
        A kernel of the native engine, or "torch" or "torch in float64".
    """

    name: str

    @property
    def is_native(self) -> bool:
        return self.name in ISAS

    def run(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """``call`` is one of `fembed.engine`."""
        if self.is_native:
            return call(*arguments, isa=self.name, **options)
        # More threads than processors, as some examples have, cost PyTorch seconds.
        with self.working():
            return call(*arguments, **options | {"n_threads": 1})

    def working(self) -> AbstractContextManager[None]:
        """The context in which its engine is the chosen one; the kernel is then the best one."""
        if self.is_native:
            return nullcontext()
        from fembed.engine.on_torch import OnTorch

        return working_with(OnTorch("cpu", double=self.name.endswith("float64")))

    def __str__(self) -> str:
        return self.name


NATIVE = [Kernel(isa) for isa in ISAS]
TORCH = [Kernel("torch")] if HAS_TORCH else []
FLOAT32 = [*NATIVE, *TORCH]
KERNELS = [*FLOAT32, *([Kernel("torch in float64")] if HAS_TORCH else [])]

native_kernels = st.sampled_from(NATIVE)
float32_kernels = st.sampled_from(FLOAT32)
