"""The workbench: what the programs share, from their options to the training of a network and its evaluation."""
