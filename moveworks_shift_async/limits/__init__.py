"""May I send now? Pure: `window`, `lesson`, `learning`; this process's gate in `process`."""
