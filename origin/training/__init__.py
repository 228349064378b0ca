"""Training of a family's generator from its gallery, in closed form where that is possible."""

from origin.training.family import TrainingReport, train

__all__ = ["TrainingReport", "train"]
