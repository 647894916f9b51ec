"""What every page shares: sign-in, access, security, htmx, errors, static files. No page of its own but /healthz."""
