"""The alarm queue: claim, handle, close."""
