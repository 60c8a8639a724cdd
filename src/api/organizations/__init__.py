"""The companies vehicles belong to."""
