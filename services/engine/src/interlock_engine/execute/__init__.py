"""From decisions to fills, through the gatekeeper and nothing else."""
