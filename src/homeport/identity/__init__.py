"""Who the server is and who calls it: certificates, keys of accounts, tokens."""
