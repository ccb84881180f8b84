"""The end-to-end study: from atoms to a report with dose limits."""
