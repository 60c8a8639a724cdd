"""Pictures, sounds and films of terminals."""
