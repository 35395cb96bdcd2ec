"""Checking gradients numerically. `gradcheck` in PyTorch's style, `compare` with a full report."""

from backlit.check.differences import Slope as Slope, slope as slope
from backlit.check.gradcheck import (
    Failure as Failure,
    GradcheckError as GradcheckError,
    Report as Report,
    compare as compare,
    gradcheck as gradcheck,
    gradgradcheck as gradgradcheck,
)
from backlit.check.doctor import (
    Cause as Cause,
    Diagnosis as Diagnosis,
    diagnose as diagnose,
    doctor as doctor,
)
from backlit.check.gradient_flow import (
    Alarm as Alarm,
    HealthReport as HealthReport,
    LayerHealth as LayerHealth,
    health as health,
)
from backlit.check.input_scale import (
    InputsReport as InputsReport,
    Reader as Reader,
    inputs as inputs,
)
from backlit.check.loss_assumptions import (
    LossFinding as LossFinding,
    LossReport as LossReport,
    loss as loss,
)
