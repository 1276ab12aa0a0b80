"""Export to OpenTelemetry; the control process loads it where otel.enabled is on."""
