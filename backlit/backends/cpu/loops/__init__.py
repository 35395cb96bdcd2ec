"""Loop nests from formulas: elementwise operators, reductions, scans, fused bodies, copies."""
