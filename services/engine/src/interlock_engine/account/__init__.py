"""Pure accounting: positions and results from fills only."""
