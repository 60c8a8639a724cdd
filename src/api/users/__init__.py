"""Who may use the server: accounts, passwords, roles."""
