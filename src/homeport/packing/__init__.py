"""Files become an archive: collected, checked, written once and for ever the same."""
