"""The model of kinds of fault, from reports to a version that names kinds: episodes, training, gate, registry."""
