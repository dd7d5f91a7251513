"""Operation counts: what one action costs, layer by layer, and the file that carries them."""
