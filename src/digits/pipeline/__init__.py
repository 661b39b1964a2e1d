"""Drives the stages: DVC as a child process, and trainings inside this one."""
