"""From a forecast to what a call is given: caps, steer, guidance, arm, model."""
