"""Brings images home: from their hosts, checked, to the output folder.

`Hands` does it in this process. `Crew` has it done in a second one, which has never heard of the
key: what hostile hosts send is read and looked at there, and the second core is put to use, while
here the jobs go on. Both are a `pipeline.api.Porter`.
"""

from pipeline.porter.crew import Crew
from pipeline.porter.hands import Hands
from pipeline.porter.outfit import Outfit

__all__ = ["Crew", "Hands", "Outfit"]
