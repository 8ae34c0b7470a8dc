"""The formats of CI systems: annotations, widgets, JUnit, SARIF."""
