"""The yardstick: measures of solos, beside those of players."""
