"""What the endpoints of the jury answer: each shape is declared here, once; see `arena.api.contract`."""
