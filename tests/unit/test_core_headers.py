"""Every header of the engine compiles alone: it includes what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "src" / "core"
#: The build compiles them in binding.cpp; here nanobind's headers may be absent.
OF_THE_BINDING = {"python_arrays.hpp", "likelihood_arguments.hpp", "arguments.hpp"}
COMPILER = shutil.which(os.environ.get("CXX") or "c++")
OPTIONS = "-std=gnu++17 -w -fsyntax-only -x c++ -"
#: What CMake defines for a kernel.
DEFINED = "-DFEMBED_ISA=alone -DFEMBED_LANES=4 -DFEMBED_TILE_KIB=416"

headers = sorted(path.name for path in CORE.glob("*.hpp") if path.name not in OF_THE_BINDING)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("header", headers)
def test_a_header_compiles_alone(header: str) -> None:
    done = subprocess.run(
        [str(COMPILER), *DEFINED.split(), *OPTIONS.split()],
        cwd=CORE,
        input=f'#include "{header}"\n',
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
