"""``python -m benchmarks COMMAND``: one command per question, see benchmarks/README.md."""

from __future__ import annotations

import importlib
import sys

from benchmarks.options import parsed
from fembed.errors import InputError

#: Each is a module of that name with ``Options`` and ``run``; what it answers.
COMMANDS = {
    "kernel": "the block step against OpenBLAS' product and against plain PyTorch",
    "train": "a fit as a whole: speed, memory, and the command on real data",
    "project": "samples placed per second",
    "protocol": "maps of new samples by fembed and its rivals; can be stopped and taken up again",
    "time-to-quality": "loss and held-out accuracy against seconds: published recipe and fast one",
    "scale": "seconds and memory by size on simulated data, and the two published workloads",
    "panels": "accuracy and imputation error against the share of genes shown",
    "masked": "error of entries taken out of the training matrix, against their share",
    "confidence": "coverage of ellipses, false alarms, and tumour types that training never saw",
    "aberrant": "genes moved in new samples, and found again",
    "layers": "weights of two layers of which one is small and in other units",
    "counts": "maps by the likelihood of counts and by rivals: depth, hidden genes, thinned cells",
    "annotate": "labels carried over to new samples: how many are right, how honest they are",
    "batches": "what is left of batches in maps of several, and whether kinds stay apart",
    "gene-sets": "members of gene sets told by gene vectors, loadings of PCA and others",
    "gpu": "the engine on PyTorch: agreement with the oracle, steps, a fit, placing, memory",
    "results": "write RESULTS.md and its figures from the result files",
}


def main(words: list[str]) -> int:
    """The exit status of the command that ``words`` begin with."""
    command = words[0] if words else "--help"
    if command not in COMMANDS:
        print("python -m benchmarks COMMAND [--help]\n")
        print("\n".join(f"  {name:16s} {about}" for name, about in COMMANDS.items()))
        return 0 if command == "--help" else 2
    module = importlib.import_module(f"benchmarks.{command.replace('-', '_')}")
    options = parsed(module.Options, words[1:], command, COMMANDS[command])
    status: int = module.run(options)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
