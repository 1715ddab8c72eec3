"""What a run says of itself while it goes on: time left, tokens, cost, reused results, the end."""
