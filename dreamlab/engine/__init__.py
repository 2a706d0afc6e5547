"""What decides what runs where: one engine per runs folder, local worker processes, slots per
device."""
