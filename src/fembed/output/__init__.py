"""Where results go: an AnnData object (`anndata_fields`), a file (`tables`), a `terminal`."""
