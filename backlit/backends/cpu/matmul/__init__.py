"""Matrix products: how they are cut, packed, multiplied and finished."""
