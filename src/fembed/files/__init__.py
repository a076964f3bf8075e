"""Files that are whole or absent (`atomic`), their arrays checked (`manifest`, `arrayfile`)."""
