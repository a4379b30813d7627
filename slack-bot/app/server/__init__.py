"""The program: Flask in front of Bolt, health, logs, and how it is started and stopped."""
