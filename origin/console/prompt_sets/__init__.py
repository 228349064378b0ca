"""Prompt sets: files that say which prompt, and which seed, is for which asset."""
