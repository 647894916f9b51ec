"""The promises under fire: the whole stack is started, driven, killed and checked. `bin/chaos --help`."""
