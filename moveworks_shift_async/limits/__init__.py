"""May I send now? Pure arithmetic, and a gate around it: for this process, or this machine."""
