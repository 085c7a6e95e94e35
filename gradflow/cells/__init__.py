"""The recurrent cells."""
