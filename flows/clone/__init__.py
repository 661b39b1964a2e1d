"""The Git clone that scheduled runs work in: batches from the inbox, commits and tags, pushes."""
