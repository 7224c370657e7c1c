"""One suite for each port, which every kind of it passes."""
