"""Stillwatch: a streaming detector of model-distillation campaigns."""

__version__ = "0.1.0"
