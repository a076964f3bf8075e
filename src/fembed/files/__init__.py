"""Files that are whole or absent (`durable`), their arrays checked (`sealed`, `arrayfile`)."""
