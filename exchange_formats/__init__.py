"""What crosses a boundary: datasets, manifests, keys, messages, topology. Pure: no network, no clock."""
