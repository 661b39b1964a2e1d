"""The stage that writes the formats for phones and browsers."""
