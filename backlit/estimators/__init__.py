"""scikit-learn estimators on the engine. Public names only; see docs/design/estimators.md."""
