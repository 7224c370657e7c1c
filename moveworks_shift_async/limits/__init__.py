"""May I send now? Pure arithmetic in `window`; the gate of this process in `process`."""
