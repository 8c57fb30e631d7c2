"""The sandboxes without a daemon: bubblewrap and a plain child process."""
