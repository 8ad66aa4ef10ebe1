"""How each target language quotes, named after the place it is for."""
