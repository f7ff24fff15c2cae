"""Print what became of each row of bad inputs, a line per case; takes pytest's options."""

import sys
from pathlib import Path

import pytest

ROWS = Path(__file__).parent / "cli" / "test_bad_input_rows.py"


class Table:
    """Prints a line per case as pytest goes on."""

    def pytest_runtest_logreport(self, report):
        """Print what was said."""
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.split("::")[-1].removeprefix("test_row_").replace("_", " ")
            said = dict(report.user_properties).get("said", "")
            if report.when == "call" or report.outcome == "failed":
                print(f"\n{report.outcome:7} {name}\n        {said}", end="")


if __name__ == "__main__":
    sys.exit(pytest.main([str(ROWS), "-q", "-n", "0", "--tb=no", *sys.argv[1:]], [Table()]))
