import pytest
import tritonclient.grpc
import tritonclient.http
from support import SUITE


@pytest.fixture(params=["server", "router"])
def place(request):
    """host:port of the model server that has `prices` alone, and of the router before it."""
    return SUITE[request.param]


@pytest.fixture
def triton(place):
    with tritonclient.http.InferenceServerClient(place) as client:
        yield client


@pytest.fixture
def repository():
    """tritonclient over HTTP, at the server of many models."""
    with tritonclient.http.InferenceServerClient(SUITE["repository"]) as client:
        yield client


@pytest.fixture
def grpc():
    """tritonclient over gRPC, at the server of many models."""
    with tritonclient.grpc.InferenceServerClient(SUITE["repository_grpc"]) as client:
        yield client
