"""Where results go: an AnnData object (`slots`), a file (`tables`), a screen (`terminal`)."""
