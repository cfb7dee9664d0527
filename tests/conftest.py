"""How every property test searches.

The same examples each time, so that a change is judged by what it changed. To search anew:
`HYPOTHESIS_PROFILE=search make test`.
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
