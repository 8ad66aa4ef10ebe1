"""From a plan to the world: generations, differences, apply, managers."""
