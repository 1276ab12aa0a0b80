"""The looks before a migration begins, one concern a file: functions of a Sight."""
