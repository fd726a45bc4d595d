"""From one command to many finished runs."""
