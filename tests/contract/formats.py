"""What a generator of requests is to know: ids are bounded in bytes, a schema counts characters."""

import schemathesis
from hypothesis import strategies as st

ODD = st.characters(blacklist_categories=["Cs", "Cc"])
NAMES = st.text(ODD, min_size=1, max_size=128).filter(lambda name: len(name.encode()) <= 128)

schemathesis.openapi.format("name", NAMES)
