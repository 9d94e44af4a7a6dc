"""What is installed: discovered, registered, and resolved from ``"module:Class"`` on use."""
