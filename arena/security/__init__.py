"""Who may come in, and how: headers, transport, tokens, signing in, throttles. Each file is one rule."""
