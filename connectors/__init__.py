"""The only input and output: department systems, the object store, the broker."""
