"""`ollama:` sources: manifests and layers, the store on this machine, the registry."""
