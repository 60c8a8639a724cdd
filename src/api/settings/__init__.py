"""What the console must know before anybody signed in."""
