"""Binary files that are no text table, each refused by its name and with what to do instead."""

from __future__ import annotations

from pathlib import Path

from fembed.errors import InputError

#: The header of a .safetensors file is JSON after its length in eight bytes; no longer than this.
MAX_HEADER = 100_000_000
MATRIX = "give a matrix of genes and samples"

#: How binary files begin, what they are, and what to do.
_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "name it .h5ad if AnnData wrote it, else .h5 or .loom"),
    (b"\x93NUMPY", "a NumPy array", "name it .npy"),
    (b"PAR1", "a Parquet table", "name it .parquet"),
    (b"ARROW1", "a feather table", "name it .feather"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", "save the sheet as .csv"),
    (b"%PDF", "a PDF document", MATRIX),
    (b"RDX", "R data (.RData)", "write the matrix with write.csv in R"),
    (b"RDA", "R data (.RData)", "write the matrix with write.csv in R"),
    (b"X\n\0\0", "an R object (.rds)", "write the matrix with write.csv in R"),
    (b"A\n2\n", "an R object (.rds)", "write the matrix with write.csv in R"),
    (b"A\n3\n", "an R object (.rds)", "write the matrix with write.csv in R"),
    (b"BAM\1", "a BAM file of aligned reads", "count its reads per gene first"),
    (b"CRAM", "a CRAM file of aligned reads", "count its reads per gene first"),
    (b"BCF", "a BCF file of variants", MATRIX),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it"),
    (b"7z\xbc\xaf", "a .7z archive", "unpack it"),
    (b"Rar!", "a .rar archive", "unpack it"),
    (b"\x89PNG", "a picture", MATRIX),
    (b"\xff\xd8\xff", "a picture", MATRIX),
    (b"GIF8", "a picture", MATRIX),
    (b"\x80\x02", "a Python pickle, which could run code", "save it as .h5ad or .csv"),
    (b"\x80\x03", "a Python pickle, which could run code", "save it as .h5ad or .csv"),
    (b"\x80\x04", "a Python pickle, which could run code", "save it as .h5ad or .csv"),
    (b"\x80\x05", "a Python pickle, which could run code", "save it as .h5ad or .csv"),
    (b"CDF\1", "a NetCDF file", MATRIX),
    (b"SQLite format 3", "an SQLite database", MATRIX),
)


def refuse(path: Path, what: str, advice: str) -> None:
    """Raise the sentence about a file that is ``what``."""
    raise InputError(f"{path} is {what}, not an expression matrix; {advice}.")


def refuse_binary(start: bytes, path: Path) -> None:
    """Raise an `InputError` that names what a file is by its first bytes, decompressed."""
    if start[8:10] == b'{"' and int.from_bytes(start[:8], "little") < MAX_HEADER:
        refuse(path, "a .safetensors file, as in a fembed model", MATRIX)
    if start[257:262] == b"ustar":
        refuse(path, "a .tar archive", "unpack it and give the file or the folder in it")
    for magic, what, advice in _BINARY:
        if start.startswith(magic):
            refuse(path, what, advice)


def refuse_archive(names: list[str], path: Path) -> None:
    """Raise an `InputError` for a .zip that is a document or an archive of NumPy arrays."""
    if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
        refuse(path, "an Excel workbook (.xlsx)", "save the sheet as .csv")
    if "word/document.xml" in names:
        refuse(path, "a Word document", MATRIX)
    if "content.xml" in names and "mimetype" in names:
        refuse(path, "an OpenDocument file", "save the sheet as .csv")
    if names and all(name.endswith(".npy") for name in names):
        refuse(path, "an archive of NumPy arrays", "name it .npz")
