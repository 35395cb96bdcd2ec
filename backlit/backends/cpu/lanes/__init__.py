"""Values as vectors: every dtype, the functions of formulas, masks, slices of memory."""
