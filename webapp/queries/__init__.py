"""Every named read. Templates never query, and nothing here changes anything."""
