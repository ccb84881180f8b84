"""What a real frame has and a network must not see: borders without data, what was drawn into it, hot pixels."""
