"""What a server needs beside the code: the broker's configuration, the secrets' generator, health checks."""
