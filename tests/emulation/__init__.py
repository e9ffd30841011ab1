"""An emulation of newer Milvus servers: a gRPC proxy before Milvus Lite.

Milvus 2.4 to 3.0 cannot be run by these tests. What they document to do differently from Lite, this
proxy does in front of Lite; it is called an emulation wherever it is told, and proves no more than
that the product copes with the documented behaviour.

    with emulation("2.6") as proxy:
        client = MilvusClient(proxy.backend.uri)

The same proxy without a release forwards everything, and is used to inject faults and races before
any server.
"""

from tests.emulation.proxy import Proxy, emulation, in_front_of
from tests.emulation.releases import RELEASES, Release

__all__ = ["RELEASES", "Proxy", "Release", "emulation", "in_front_of"]
