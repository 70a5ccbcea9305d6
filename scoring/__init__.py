"""Pure scoring: models, compiled SQL, grades with their evidence. No network, no clock, no randomness."""
