"""The U-Net's plan, its parameters and cost, counted without torch."""
