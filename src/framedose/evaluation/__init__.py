"""From predictions on a series of rising dose to dose limits with their uncertainty."""
