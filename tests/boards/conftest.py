"""What several tests of modelled boards share: the paper's networks, built once."""

import pytest

from titan_repro.boards.paper_model import paper_setups


@pytest.fixture(scope="session")
def setups():
    return paper_setups()
