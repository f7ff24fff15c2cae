"""From labels and tissue maps to the signal of a sequence."""
