"""The reward model: frozen encoder blocks, a small trained head, and the reward they give a clip.

The only package that imports torch, and it knows no Django: arrays in, arrays out. Importing this package
alone loads nothing heavy; its modules do.
"""
