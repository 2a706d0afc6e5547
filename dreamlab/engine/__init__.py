"""The engine: decides which run starts on which device. One engine per runs folder; workers are
processes on this machine."""
