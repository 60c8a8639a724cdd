"""Commands to many vehicles at once."""
