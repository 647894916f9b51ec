"""The all-in-one stack of bin/run: broker, mail sink, web and worker under one supervisor."""
