"""Datasets: recipes, single items, generation on all cores, and storage."""
