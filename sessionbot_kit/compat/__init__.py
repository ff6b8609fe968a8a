"""Names under which older systems know things, for plugins that were written for them."""
