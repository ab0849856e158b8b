"""Running faultwatch: what it says of itself, whether all is well, copies of all it keeps."""
