"""Names of charging station errors: OCPP 1.6, the minimum required error codes (MREC) and EVerest.

A name is recognised whatever its case and spacing, and answers with its usual spelling.
"""

_OCPP = """
ConnectorLockFailure EVCommunicationError GroundFailure HighTemperature InternalError LocalListConflict NoError
OtherError OverCurrentFailure OverVoltage PowerMeterFailure PowerSwitchFailure ReaderFailure ResetFailure UnderVoltage
WeakSignal
"""
"""OCPP 1.6, ChargePointErrorCode."""

_MREC = """
ConnectorLockFailure GroundFailure HighTemperature OverCurrentFailure OverVoltage UnderVoltage WeakSignal EmergencyStop
AuthorizationTimeout InvalidVehicleMode CableCheckFailure PreChargeFailure NoInternet PilotFault PowerLoss
EVContactorFault EVSEContactorFault CableOverTempDerate CableOverTempStop PartialInsertion CapacitanceFault
ResistanceFault ProximityFault ConnectorVoltageHigh BrokenLatch CutCable
"""
"""ChargeX, "Recommendations for Minimum Required Error Codes", by number; vendors send CX001 and so on."""

_EVEREST = """
BrownOut CableCheckFault CommunicationFault ConnectorLockCapNotCharged ConnectorLockFailedLock ConnectorLockFailedUnlock
ConnectorLockUnexpectedClose ConnectorLockUnexpectedOpen DeviceFault DiodeFault EnclosureOpen EnergyManagement
GenericPaymentTerminalError HardwareFault IncorrectDeviceId OverCurrentAC OverCurrentDC OverTemperature OverVoltageAC
OverVoltageDC PermanentFault PowermeterTransactionStartFailed TerminalIdNotSet TiltDetected UnderTemperature
UnderVoltageAC UnderVoltageDC VendorError VendorWarning VentilationNotAvailable VoltagePlausibilityFault
WaterIngressDetected
"""
"""EVerest, types of errors of its interfaces."""

MREC_NAMES = dict(enumerate(_MREC.split(), start=1))
"""MREC number -> name."""

NAMES = {name.casefold(): name for name in (*_EVEREST.split(), *_MREC.split(), *_OCPP.split())}
"""Folded name -> usual spelling."""
