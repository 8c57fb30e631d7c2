"""Every code as a Markdown table: run as a program, it prints that of `docs/findings.md`."""

from validator.findings.codes import CODES


def table() -> str:
    """The table, with a newline at its end."""
    lines = [
        "| code | severity | what is wrong | why it matters | how to fix it |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{c.name}` | {c.severity} | {c.title} | {c.reason} | {c.fix} |" for c in CODES.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
