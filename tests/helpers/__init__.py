"""What tests share: real servers, the cast, changes by the real operations, and looks at what came of them."""
