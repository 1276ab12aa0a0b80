"""What the control process remembers of the statements that passed."""
