"""The SQL by subject: async functions that take a psycopg AsyncConnection; the caller owns the transaction."""
