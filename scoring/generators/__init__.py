"""Generators that learn: music as tokens, what it is made from, and the networks that make it."""
