"""Single sign-on against real provider processes and a strict server of our own."""
