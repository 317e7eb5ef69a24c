"""Protein-binder backbone generation with PXDesign-d, as small Unix tools on MLX."""

__version__ = "0.1.0"
