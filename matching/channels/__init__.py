"""The channels of retrieval, one file each, all keeping the promises of `base.Channel`."""

from matching.channels.base import Channel, Hits
from matching.channels.condition import ConditionChannel
from matching.channels.exact import ExactChannel
from matching.channels.graph import GraphChannel
from matching.channels.keyword import KeywordChannel
from matching.channels.overlap import OverlapChannel
from matching.channels.semantic import SemanticChannel
from matching.channels.signature import SignatureChannel
from matching.channels.vehicle import VehicleChannel, VehicleFit

__all__ = [
    "Channel", "ConditionChannel", "ExactChannel", "GraphChannel", "Hits", "KeywordChannel", "OverlapChannel",
    "SemanticChannel", "SignatureChannel", "VehicleChannel", "VehicleFit",
]  # fmt: skip
