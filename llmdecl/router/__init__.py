"""The process that serves endpoints: reads `router.json` and nothing of the compiler."""
