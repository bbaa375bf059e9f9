"""From complaints to known failures: documents become cases, the live index matches them."""
