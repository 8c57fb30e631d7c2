"""Sandboxes without a daemon: bubblewrap and a plain child process."""
