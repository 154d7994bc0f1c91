"""What Shardlab does in Python: exact plans of small instances (shardlab.exact)."""
