"""The expression matrix: files (`readers`), values with names, transforms, walks over its rows."""
