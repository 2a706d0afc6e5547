"""The layers of the U-Net, its parameters and its cost, without torch."""
