"""From a Program to a step that runs: places, tasks, memory, turns, the table that is walked."""
