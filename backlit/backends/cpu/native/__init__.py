"""From IR text to code that a team of threads runs: builder, compiler, store, team."""
