"""The engine: decides which run starts on which device. There is one engine per runs folder.
Workers are processes on this machine."""
