"""Where a trained network looks, and at what: activation maps, the pointing game, films of a study."""
