"""The music that fills an empty arena: six procedural systems that read a text prompt and play it."""
