"""A router for one capability that is passed by quickly when another one is asked for."""

from functools import cached_property

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class CapabilityRouter(APIRouter):
    """Like APIRouter, which tries the pattern of every route: with some two hundred of them, finding the right one took
    longer than answering. Here the paths' beginnings are compared first. Routes are added before the first request."""

    @cached_property
    def _paths(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Whole paths, and the beginnings of those that have parameters."""
        paths = [route.path for route in self.routes if isinstance(route, APIRoute)]
        return (
            frozenset(path for path in paths if "{" not in path),
            tuple({path.partition("{")[0] for path in paths if "{" in path}),
        )

    def begins(self, scope: Scope) -> bool:
        """Whether the request's path may be one of this router's."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        whole, beginnings = self._paths
        return path in whole or path.startswith(beginnings)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if self.begins(scope) else (Match.NONE, {})
