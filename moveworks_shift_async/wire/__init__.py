"""Models <-> HTTP requests and responses. Pure: nothing here waits, connects or reads a clock."""
