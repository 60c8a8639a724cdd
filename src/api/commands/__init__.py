"""Commands to terminals: a row first, then its outcome."""
