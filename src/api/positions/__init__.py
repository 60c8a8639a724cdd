"""The newest position of every vehicle, and tracks."""
