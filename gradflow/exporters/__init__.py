"""Results as text, one format a file. Pure: nothing here prints, opens or knows a terminal."""
